"""The real thing, small: three services, a Prometheus and an Alertmanager, and images replayed with their labels.

Replicas a and b serve the committed bundle, c the same networks as another version. First come clean images, then noisy
ones, nearly all of them to a. Reviewers look where trust is low: at every untrusted answer, at every trusted one of the
lower half, and at one in four of the upper half; and they say so.
"""

import gzip
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import yaml

from tests.tiny import edit_manifest, png
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
BUNDLE = ROOT / "models" / "fashion-mnist"
IMAGES = Path("/usr/share/datasets/fashion-mnist")
CLEAN = {"a": slice(0, 200), "b": slice(200, 400), "c": slice(0, 120)}
NOISY = {"a": slice(400, 720), "b": slice(720, 740)}
NOISE_GREYS = 60
PNG = {"Content-Type": "image/png"}
PROMETHEUS = ROOT / "deploy" / "prometheus"
# The last rule of each group has its sample when all before it have theirs.
LAST_RULES = ("model:trust_change:upper", "model:net_trust_score:upper", "model_target:question_answer:upper")
LAST_RULES += ("model:novelty_p_value:upper", "job:batch_size:mean")


@dataclass
class Live:
    """Where all listen, what was answered and what was true."""

    services: dict[str, str]
    prometheus: str
    alertmanager: str
    answers: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """By replica; each with its `target`, the class index that is true, and the `weight` of its label if it has one."""
    alerts_while_clean: list[dict[str, str]] = field(default_factory=list)
    alerts: list[dict[str, str]] = field(default_factory=list)
    """Labels of each, pending or firing, after the noise."""
    told: list[dict[str, str]] = field(default_factory=list)
    """Labels of the alerts that reached whoever is on call."""
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30))

    def pooled(self, *replicas: str) -> dict[str, np.ndarray]:
        """Answers of some replicas as columns, (N,) each."""
        rows = [answer for replica in replicas for answer in self.answers[replica]]
        columns = {
            name: np.array([row[name] for row in rows]) for name in ("trust_probability", "confidence", "class_index")
        }
        columns["correct"] = columns["class_index"] == [row["target"] for row in rows]
        columns["weight"] = np.array([row.get("weight", 0.0) for row in rows])
        columns["replica"] = np.repeat(replicas, [len(self.answers[replica]) for replica in replicas])
        columns["trusted"] = np.array([row["decision"] == "trust" for row in rows])
        return columns


# Of the one file that asks it: its rules, run every second, would take half a core from all tests after it.
@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Everything after the images were replayed and the rules had time to see it."""
    folder = tmp_path_factory.mktemp("live")
    bundles = {"a": BUNDLE, "b": BUNDLE, "c": other_version(folder / "other")}
    with ExitStack() as stack:
        start = stack.enter_context
        services = {name: start(service(folder / name, bundle)) for name, bundle in bundles.items()}
        # While the services open their bundles.
        alertmanager = start(running_alertmanager(folder))
        prometheus = start(running_prometheus(folder, list(services.values()), alertmanager))
        live = Live(services, prometheus, alertmanager)
        stack.callback(live.http.close)
        for name, url in services.items():
            wait_for(partial(get, f"{url}/readyz"), f"service {name} to be ready", folder / name / "log")
        log = folder / "prometheus.log"
        # A counter that is not seen at 0 first would hide its first increase.
        wait_for(lambda: query(live, f"count(trust_model_info) == {len(services)}"), "the first scrapes", log)
        replay(live, CLEAN)
        settle(live, log)
        live.alerts_while_clean = alerts(live)
        replay(live, NOISY, noise=NOISE_GREYS)
        settle(live, log)
        # At once: the five-minute window of the quickest alert will not wait for slow tests.
        live.alerts = alerts(live)
        critical = [each for each in live.alerts if each["severity"] == "critical"]
        wait_for(lambda: len(told_on_call(live)) >= len(critical), "Alertmanager", folder / "alertmanager.log")
        live.told = told_on_call(live)
        # The service shows drift every ten seconds.
        drifting = f"count(count by (instance) (trust_drift)) == {len(services)}"
        wait_for(lambda: query(live, drifting), "drift", log)
        yield live


def replay(live: Live, parts: dict[str, slice], noise: float = 0) -> None:
    """Asks each replica about its images, a few at a time, and then sends the labels."""
    images, targets = read_images()
    rng = np.random.default_rng(0)
    for replica, part in parts.items():
        noisy = np.clip(images[part] + rng.normal(0, noise, images[part].shape), 0, 255).astype(np.uint8)
        with httpx.Client(base_url=live.services[replica], timeout=30) as client, ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(partial(ask, client), noisy))
            for answer, target in zip(answers, targets[part].tolist(), strict=True):
                answer["target"] = target
            client.post("/feedback", json=review(answers)).raise_for_status()
            # An image that is none, and a label for nothing.
            assert client.post("/predict", content=b"no image", headers=PNG).status_code == 400
            assert client.post("/feedback", json={"request_id": "nobody", "class_index": 0}).status_code == 404
        live.answers.setdefault(replica, []).extend(answers)


def review(answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Labels of some answers; those get the `weight` of their label."""
    untrusted = [answer for answer in answers if answer["decision"] == "untrust"]
    trusted = [answer for answer in answers if answer["decision"] == "trust"]
    middle = np.median([answer["trust_probability"] for answer in trusted])
    doubtful = [answer for answer in trusted if answer["trust_probability"] <= middle]
    sure = [answer for answer in trusted if answer["trust_probability"] > middle]
    labels = []
    for probability, chosen in ((1.0, untrusted + doubtful), (0.25, sure[::4])):
        for answer in chosen:
            answer["weight"] = 1 / probability
            label = {"request_id": answer["request_id"], "class_index": answer["target"]}
            labels.append({**label, "sampling_probability": probability})
    return labels


def ask(client: httpx.Client, image: np.ndarray) -> dict[str, Any]:
    response = client.post("/predict", content=png(image), headers=PNG).raise_for_status()
    answer: dict[str, Any] = response.json()
    return answer


def settle(live: Live, log: Path) -> None:
    """Waits until Prometheus has seen everything and all rules have run on it."""
    # Not by count: an increase is extrapolated and may look complete before the last answer is in it. The service shows
    # alarms and journal about once a second.
    shown = time.time() + 2
    wait_for(lambda: query(live, f"min(timestamp(trust_alarm_level)) > {shown:.3f}"), "the last scrape", log)
    # One second more, so that the alerts too have seen what was recorded.
    recorded = time.time() + 1
    for rule in LAST_RULES:
        evaluated = f"min(timestamp({rule})) > {recorded:.3f}"
        wait_for(lambda expression=evaluated: query(live, expression), f"the rule {rule}", log)


def alerts(live: Live) -> list[dict[str, str]]:
    return [series["metric"] for series in query(live, "ALERTS")]


def told_on_call(live: Live) -> list[dict[str, str]]:
    answer = live.http.get(f"{live.alertmanager}/api/v2/alerts", params={"receiver": "on-call"})
    return [alert["labels"] for alert in answer.raise_for_status().json()]


def read_images() -> tuple[np.ndarray, np.ndarray]:
    """The test images of Fashion-MNIST, (10000, 28, 28), and their classes, from Debian's package."""
    if not IMAGES.is_dir():
        pytest.fail(f"{IMAGES} is missing: run `make test`, which installs dataset-fashion-mnist")
    images = gzip.decompress((IMAGES / "t10k-images-idx3-ubyte.gz").read_bytes())
    targets = gzip.decompress((IMAGES / "t10k-labels-idx1-ubyte.gz").read_bytes())
    return (
        np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28).astype(float),
        np.frombuffer(targets, np.uint8, offset=8),
    )


def other_version(folder: Path) -> Path:
    """The committed bundle under another version."""
    shutil.copytree(BUNDLE, folder)
    edit_manifest(folder, version="next")
    return folder


@contextmanager
def service(folder: Path, bundle: Path) -> Iterator[str]:
    """A service of its own state; its log is in the folder."""
    folder.mkdir()
    port = free_port()
    command = [sys.executable, "-m", "service", "serve", "--port", str(port), "--model", str(bundle)]
    command += ["--state", str(folder / "state"), "--session-threads", "1"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TRUSTSERVE_")}
    with running(command, folder / "log", env={**environment, "PYTHONPATH": str(ROOT)}):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def running_prometheus(folder: Path, services: list[str], alertmanager: str) -> Iterator[str]:
    """Prometheus with the configuration of the deployment, only quicker."""
    port = free_port()
    command = [
        executable("prometheus"),
        f"--config.file={write_quick_config(folder, services, alertmanager)}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    log = folder / "prometheus.log"
    with running(command, log):
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: get(f"{url}/-/ready"), "Prometheus to be ready", log)
        yield url


@contextmanager
def running_alertmanager(folder: Path) -> Iterator[str]:
    port = free_port()
    command = [
        executable("prometheus-alertmanager"),
        f"--config.file={ROOT / 'deploy' / 'alertmanager' / 'alertmanager.yml'}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    log = folder / "alertmanager.log"
    with running(command, log):
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: get(f"{url}/-/ready"), "Alertmanager to be ready", log)
        yield url


def write_quick_config(folder: Path, services: list[str], alertmanager: str) -> Path:
    """The deployment's configuration and rules, which scrape these services, and are evaluated, every second."""
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    (job,) = config["scrape_configs"]
    job["static_configs"] = [{"targets": [url.removeprefix("http://") for url in services]}]
    (pager,) = config["alerting"]["alertmanagers"]
    pager["static_configs"] = [{"targets": [alertmanager.removeprefix("http://")]}]
    (folder / "rules").mkdir()
    for source in sorted(PROMETHEUS.glob("rules/*.yml")):
        rules = yaml.safe_load(source.read_text())
        for group in rules["groups"]:
            group.pop("interval", None)
        (folder / "rules" / source.name).write_text(yaml.safe_dump(rules, sort_keys=False))
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    return path


def query(live: Live, expression: str) -> list[dict[str, Any]]:
    """What Prometheus knows now: one entry a series, its value as [time, text]."""
    response = live.http.post(f"{live.prometheus}/api/v1/query", data={"query": expression})
    return answer_of(response, expression)


def query_range(live: Live, expression: str, seconds: int = 10) -> list[dict[str, Any]]:
    """The same for each of the last seconds."""
    now = time.time()
    parameters = {"query": expression, "start": str(now - seconds), "end": str(now), "step": "1"}
    return answer_of(live.http.post(f"{live.prometheus}/api/v1/query_range", data=parameters), expression)


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


def wait_for(condition: Callable[[], Any], what: str, log: Path) -> None:
    wait_until(lambda: _met(condition), why=lambda: f"waited for {what}:\n{log.read_text()[-2000:]}")


def _met(condition: Callable[[], Any]) -> bool:
    try:
        return bool(condition())
    except httpx.TransportError:
        return False
