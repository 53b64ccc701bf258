"""The service and, where it is installed, a Prometheus beside it: started, asked, stopped."""

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

ROOT = Path(__file__).parents[1]
_START_SECONDS = 30

_PROMETHEUS = """\
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [{rules}]
scrape_configs:
  - job_name: trustserve
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


class Client:
    """Asks one server over one connection that is kept; of one thread."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def get(self, path: str) -> Any:
        """The JSON at a path.

        Raises:
            OSError: nobody listens, or the answer is none.
        """
        return self._ask("GET", path)

    def post(self, path: str, body: bytes, media_type: str) -> Any:
        """The JSON that a body is answered with; raises as `get` does."""
        return self._ask("POST", path, body, {"Content-Type": media_type})

    def _ask(self, *request: Any) -> Any:
        try:
            self._connection.request(*request)
            response = self._connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise OSError(f"{request[0]} {request[1]}: {error}") from error
        if response.status != 200:
            raise OSError(f"{request[0]} {request[1]}: status {response.status}, {body[:200]!r}")
        return json.loads(body)


@contextmanager
def service(model: Path, folder: Path) -> Iterator[int]:
    """A service with a state folder of its own; gives its port, once it is ready."""
    port = free_port()
    command = [sys.executable, "-m", "service", "serve", "--model", str(model), "--port", str(port)]
    with _running([*command, "--state", str(folder / "state")], folder / "service.log") as process:
        _wait_for(Client(port), "/readyz", process, folder / "service.log")
        yield port


@contextmanager
def prometheus(port: int, folder: Path) -> Iterator[int | None]:
    """A Prometheus that scrapes the service every second, with the rules of the deployment; None: not installed."""
    program = shutil.which("prometheus")
    if program is None:
        yield None
        return
    own = free_port()
    config = folder / "prometheus.yml"
    config.write_text(_PROMETHEUS.format(rules=json.dumps(str(ROOT / "deploy/prometheus/rules/*.yml")), port=port))
    command = [program, f"--config.file={config}", f"--storage.tsdb.path={folder / 'prometheus'}"]
    with _running([*command, f"--web.listen-address=127.0.0.1:{own}"], folder / "prometheus.log") as process:
        _wait_for(Client(own), "/api/v1/status/buildinfo", process, folder / "prometheus.log")
        yield own


def firing_alerts(client: Client) -> set[str]:
    """Names of the alerts that fire now, with the kind of alarm where it is one."""
    found = client.get("/api/v1/query?query=" + quote('ALERTS{alertstate="firing"}'))["data"]["result"]
    names = [(series["metric"]["alertname"], series["metric"].get("alarm")) for series in found]
    return {name if alarm is None else f"{name} ({alarm})" for name, alarm in names}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def _running(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TRUSTSERVE_")}
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, cwd=ROOT, env=environment)
        try:
            yield process
        finally:
            process.terminate()
            process.wait()


def _wait_for(client: Client, path: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            client.get(path)
            return
        except OSError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{process.args!r} does not answer: {error}\n{log.read_text()}") from error
            time.sleep(0.1)
