"""The Dockerfile: linted, small, without root and without torch. Building it takes an engine; nothing here does."""

import os
import re
import subprocess
import sys
import sysconfig
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from service.settings import PREFIX, Settings
from tests.deploy.conftest import ROOT, free_port

TEXT = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
LINES = [line for line in TEXT.splitlines() if line and not line.startswith("#")]
FINAL = LINES[max(number for number, line in enumerate(LINES) if line.startswith("FROM")) :]
TRAINING = {"torch", "torchvision", "timm", "onnx", "scikit-learn", "scipy"}


def values(instruction: str, lines: list[str] = FINAL) -> list[str]:
    return [line.removeprefix(instruction).strip() for line in lines if line.startswith(instruction + " ")]


def copied() -> set[str]:
    """Our files that go into an image, the build stage's included."""
    sources = [words.split()[:-1] for words in values("COPY", LINES) if not words.startswith("--from")]
    return {source for words in sources for source in words}


def installed_by(extra: str) -> set[str]:
    """Names of all packages that `trustserve[extra]` brings, as far as they are installed here."""
    found: set[str] = set()
    waiting = [("trustserve", frozenset({extra}))]
    while waiting:
        name, extras = waiting.pop()
        for requirement in map(Requirement, _requires(name)):
            wanted = requirement.marker is None or any(
                requirement.marker.evaluate({"extra": each}) for each in {"", *extras}
            )
            child = canonicalize_name(requirement.name)
            if wanted and (child not in found or requirement.extras):
                found.add(child)
                waiting.append((child, frozenset(requirement.extras)))
    return found


def test_hadolint_finds_nothing():
    hadolint = Path(sysconfig.get_path("scripts")) / "hadolint"
    result = subprocess.run([hadolint, "--no-color", ROOT / "Dockerfile"], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("extra", ["service", "gpu"])
def test_what_it_installs_brings_no_training_library(extra):
    packages = installed_by(extra)
    assert {"service": "onnxruntime", "gpu": "onnxruntime-gpu"}[extra] in packages
    assert "fastapi" in packages
    assert not packages & TRAINING


def test_it_installs_the_extra_that_the_argument_names_with_pinned_versions():
    assert "ARG EXTRA=service" in LINES
    (install,) = (line for line in LINES if " install " in line)
    assert '".[${EXTRA}]"' in install
    assert "-c constraints.txt" in install
    assert "--no-cache-dir" in install


def test_both_stages_start_from_the_base_that_the_argument_names():
    (base,) = (line for line in LINES if line.startswith("ARG BASE="))
    assert re.fullmatch(r"ARG BASE=docker\.io/library/python:3\.11-slim(@sha256:[0-9a-f]{64})?", base)
    assert values("FROM", LINES) == ["${BASE} AS build", "${BASE}"]


def test_user_is_a_number_and_not_root():
    (user,) = values("USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)


def test_training_code_stays_out():
    assert copied() >= {"trust", "service"}
    assert not any(source.startswith(("training", "tests", ".")) for source in copied())


def test_dockerignore_lets_through_just_what_is_copied():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    assert {line.removeprefix("!") for line in lines if line.startswith("!")} == copied()


def test_settings_in_the_image_exist():
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    given = set(re.findall(rf"\b({PREFIX}[A-Z_]+)=", " ".join(values("ENV"))))
    assert given
    assert given <= known


def test_onnxruntime_reports_to_nobody():
    assert "ORT_DISABLE_TELEMETRY=1" in values("ENV")


def test_state_folder_belongs_to_the_user():
    """A volume takes over the owner of the folder on which it is mounted first."""
    (user,) = values("USER")
    assert values("WORKDIR") == ["/app"]
    state = Settings.model_fields["state"].default
    assert f"mkdir {state} && chown {user} {state}" in values("RUN")


def test_health_check_needs_no_shell():
    (check,) = values("HEALTHCHECK")
    assert 'CMD ["python", "/app/healthcheck.py"]' in check


def run_healthcheck(port: int) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TRUSTSERVE_PORT": str(port), "http_proxy": "http://127.0.0.1:9"}
    command = [sys.executable, ROOT / "deploy" / "healthcheck.py"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20)


def test_health_check_says_what_is_wrong_where_nobody_answers():
    port = free_port()
    result = run_healthcheck(port)
    assert result.returncode == 1
    assert f"no answer on port {port}" in result.stderr


def _requires(name: str) -> list[str]:
    try:
        return requires(name) or []
    except PackageNotFoundError:
        return []
