"""The real thing, small: a running `trustserve serve`, and a Prometheus that scraped it while it answered."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.tiny import png, quadrants

ROOT = Path(__file__).parents[2]
IMAGES = [png(quadrants(*greys)) for greys in [(200, 50, 20, 240), (10, 250, 20, 200), (90, 80, 100, 10)]]
SECONDS_OF_LOAD = 4


@dataclass
class Live:
    """Where both listen, and what the service answered to everyone who asked."""

    service: str
    prometheus: str
    answers: list[dict[str, Any]] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def service_url(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service on the tiny bundle, ready."""
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TRUSTSERVE_")}
    command = [sys.executable, "-m", "service.cli", "serve", "--port", str(port), "--model", str(tiny_bundle)]
    log = tmp_path_factory.mktemp("service") / "log"
    with running(command, log, env={**environment, "PYTHONPATH": str(ROOT)}):
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: get(f"{url}/readyz"), "the service to be ready", log)
        yield url


@pytest.fixture(scope="session")
def live(service_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Prometheus with the configuration of the deployment, only quicker, after a few seconds of load."""
    folder = tmp_path_factory.mktemp("prometheus")
    port = free_port()
    command = [
        executable("prometheus"),
        f"--config.file={write_quick_config(folder, service_url)}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    log = folder / "log"
    with running(command, log):
        live = Live(service_url, f"http://127.0.0.1:{port}")
        # A counter that is not seen at 0 first would hide its first increase.
        wait_until(lambda: query(live, "trust_model_info"), "the first scrape", log)
        load(live)
        # Once to see the last answer, once more to evaluate the rules.
        seen = f"sum(trust_request_seconds_count) == {len(live.answers) + len(live.refusals)}"
        wait_until(lambda: query(live, seen), "the last scrape", log)
        # By time, not by count: an increase is extrapolated and may look complete before the last answer is in it.
        # The last rule of its group has its sample when all before it have theirs.
        recorded = f"min(timestamp(job_window:net_trust_score_estimate:upper)) > {time.time():.3f}"
        wait_until(lambda: query(live, recorded), "the rules", log)
        yield live


def load(live: Live) -> None:
    """Some images, and some that are none."""
    deadline = time.monotonic() + SECONDS_OF_LOAD
    with httpx.Client(base_url=live.service, timeout=10) as client:
        while time.monotonic() < deadline:
            for image in IMAGES:
                response = client.post("/predict", content=image, headers={"Content-Type": "image/png"})
                live.answers.append(response.raise_for_status().json())
            response = client.post("/predict", content=b"no image", headers={"Content-Type": "image/png"})
            assert response.status_code == 400
            live.refusals.append(response.text)
            time.sleep(0.1)


def query(live: Live, expression: str) -> list[dict[str, Any]]:
    """What Prometheus knows now: one entry a series, its value as [time, text]."""
    response = httpx.post(f"{live.prometheus}/api/v1/query", data={"query": expression})
    return answer_of(response, expression)


def query_range(live: Live, expression: str, seconds: int = 10) -> list[dict[str, Any]]:
    """The same for each of the last seconds."""
    now = time.time()
    parameters = {"query": expression, "start": str(now - seconds), "end": str(now), "step": "1"}
    return answer_of(httpx.post(f"{live.prometheus}/api/v1/query_range", data=parameters), expression)


def answer_of(response: httpx.Response, expression: str) -> list[dict[str, Any]]:
    body = response.json()
    assert body["status"] == "success", f"{expression}: {body}"
    result: list[dict[str, Any]] = body["data"]["result"]
    return result


def executable(name: str) -> str:
    """Path of a program that is no Python package."""
    path = shutil.which(name)
    if path is None:
        pytest.fail(f"{name} is missing: run `make test`, which installs it")
    return path


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def write_quick_config(folder: Path, service_url: str) -> Path:
    """The deployment's configuration, which scrapes `service_url` every second."""
    source = ROOT / "deploy" / "prometheus"
    config = yaml.safe_load((source / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(source / name) for name in config["rule_files"]]
    (job,) = config["scrape_configs"]
    job["static_configs"] = [{"targets": [service_url.removeprefix("http://")]}]
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    return path


@contextmanager
def running(command: list[str], log: Path, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, **options)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def get(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


def wait_until(condition: Callable[[], Any], what: str, log: Path, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not _met(condition):
        assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}:\n{log.read_text()[-2000:]}"
        time.sleep(0.1)


def _met(condition: Callable[[], Any]) -> bool:
    try:
        return bool(condition())
    except httpx.TransportError:
        return False
