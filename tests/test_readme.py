"""What the README says holds: its commands are run, its tables compared with what they are about."""

import json
import re
import shlex
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from service.app import create_app
from service.settings import PREFIX, Settings, load_settings
from training.report.tables import clean_rows, markdown_table, summary_rows
from trust.manifest import read_manifest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
RESULTS = json.loads((ROOT / "models/fashion-mnist/results.json").read_text())


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def first_column(header: str) -> list[str]:
    """Cells of the table under a header line, first column only."""
    table = README.split(header, 1)[1].split("\n\n", 1)[0]
    return [line.split("|")[1].strip() for line in table.splitlines()[2:]]


@pytest.fixture
def fresh_clone(tmp_path: Path) -> Path:
    """The project's files as a user gets them, without anything that was set up here."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
        if (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tmp_path / name)
    return tmp_path


def test_quick_start_answers_as_shown_in_a_fresh_clone(fresh_clone):
    serve, ask = (block.strip() for block in blocks("sh"))
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    log = fresh_clone / "serve.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [*shlex.split(serve), f"PORT={port}"], cwd=fresh_clone, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        while ask.replace("8000", port) not in log.read_text():
            assert process.poll() is None, log.read_text()
        asked = subprocess.run(
            [*shlex.split(ask.replace("8000", port)), "-s"], cwd=fresh_clone, capture_output=True, text=True, check=True
        )
    finally:
        process.terminate()
        process.wait(timeout=30)
    answer, shown = json.loads(asked.stdout), json.loads(blocks("json")[0])
    for name in ("confidence", "trust_probability"):
        assert answer.pop(name) == pytest.approx(shown.pop(name), abs=0.0005)
    assert answer.pop("request_id")
    shown.pop("request_id")
    assert answer == shown
    assert not list((fresh_clone / ".venvs").glob("*/lib/python*/site-packages/torch"))


def test_every_setting_is_in_the_table_with_its_default():
    rows = [
        f"| `{PREFIX}{name.upper()}` | {'' if field.default is None else f'`{field.default}`'} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    assert "\n".join(rows) in README


def test_measured_tables_are_the_committed_bundles():
    assert markdown_table(clean_rows(RESULTS)) in README
    assert markdown_table(summary_rows(RESULTS)) in README
    assert f"accuracy {100 * RESULTS['conditions']['clean']['accuracy']:.2f} %" in " ".join(README.split())


def test_table_on_the_class_head_is_that_of_the_study():
    table = README.split("Why not serve the oracle's class head instead?", 1)[1].split("\n\n")[1]
    assert table.startswith("| splits | images | classifier | class head |")
    assert table in (ROOT / "docs/shift.md").read_text()


def test_threshold_and_its_promise_are_the_committed_bundles():
    threshold = read_manifest(ROOT / "models/fashion-mnist").threshold
    assert f"Threshold {threshold.value:g}: {threshold.statement}" in README


def test_metrics_table_names_what_the_service_shows(tiny_bundle):
    with TestClient(create_app(load_settings(model=tiny_bundle))) as client:
        shown = client.get("/metrics").text
    families = re.findall(r"^# TYPE (trust_\w+) ", shown, re.MULTILINE)
    named = [name for cell in first_column("| metric | what |") for name in re.findall(r"`(\w+)", cell)]
    assert sorted(families) == sorted(named)


def test_paths_of_the_service_are_those_of_its_table(tiny_bundle):
    paths = TestClient(create_app(load_settings(model=tiny_bundle))).get("/openapi.json").json()["paths"]
    named = [path for cell in first_column("| where | what |") for path in re.findall(r"`(/\w*)`", cell)]
    assert {*paths, "/docs"} == {*named, "/predict"}


@pytest.mark.parametrize("package", ["trust", "service", "training"])
def test_map_names_every_module_and_folder_of_a_package(package):
    line = re.search(rf"^{package}/ (.*?)^\S", README.split("## The map", 1)[1], re.DOTALL | re.MULTILINE)
    named = set(re.findall(r"\w+/?", line.group(1).split("(numpy")[0]))
    entries = [path for path in (ROOT / package).iterdir() if path.name not in ("__init__.py", "__pycache__")]
    assert {f"{path.name}/" if path.is_dir() else path.stem for path in entries} <= named


def test_files_that_are_linked_exist():
    for target in re.findall(r"\]\((?!http|#)([^)]+)\)", README):
        assert (ROOT / target).exists(), target
