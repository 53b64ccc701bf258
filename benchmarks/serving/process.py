"""A server in processes of its own: started, waited for, its answers checked, its memory read, ended."""

import http.client
import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from benchmarks.serving.servers import ROOT, Form, Server

START_SECONDS = 60
STOP_SECONDS = 5
TOLERANCE = 1e-3
"""Of trust: the same graphs, run in other batches and with other numbers of threads."""


class ServerFailed(Exception):
    """A server did not start, or answers something else than the bundle says."""


@dataclass(frozen=True)
class Expected:
    """What a server must say about an image."""

    label: str
    trust: float


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    port: int
    ready_seconds: float
    """From the start of its process to its first answer."""
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """Where it takes images."""
        return f"http://127.0.0.1:{self.port}/predict"

    def finish(self, form: Form, image: Path) -> None:
        """Waits until it has worked off what a load left behind: it answers again, one request after the other."""
        for _ in range(3):
            _post(self.port, form, image)

    def memory_bytes(self) -> int:
        """Resident memory of all its processes; what they share counts once for each."""
        return sum(process.memory_info().rss for process in self._processes())

    def cpu_seconds(self) -> float:
        """Processor time that they have taken."""
        times = [process.cpu_times() for process in self._processes()]
        return float(sum(each.user + each.system for each in times))

    def _processes(self) -> list[psutil.Process]:
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]


@contextmanager
def running(server: Server, bundle: Path, images: Mapping[Path, Expected]) -> Iterator[Running]:
    """The server on a free port, once it gave the right answer to each image.

    Raises:
        ServerFailed: it ended, did not answer in time, or answers wrongly.
    """
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        log = Path(folder) / "log"
        began = time.perf_counter()
        process = _start(server, bundle, Path(folder) / "state", port, log)
        try:
            answer = partial(_first_answer, process, port, server.form, log)
            answer(next(iter(images)))
            ready_seconds = time.perf_counter() - began
            for image, expected in images.items() if server.answers else ():
                _check(image, answer(image), expected)
            yield Running(port, ready_seconds, process)
        finally:
            _stop(process)


def _start(server: Server, bundle: Path, state: Path, port: int, log: Path) -> subprocess.Popen[bytes]:
    command = server.arguments(bundle, state, port)
    if not Path(command[0]).exists():
        raise ServerFailed(f"{command[0]} is missing; `make bench` sets it up")
    environment = {**os.environ, **server.variables, "BUNDLE": str(bundle), "PYTHONPATH": str(ROOT)}
    # Whoever installs a server has its bytecode.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    with log.open("wb") as output:
        return subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )


def _first_answer(process: subprocess.Popen[bytes], port: int, form: Form, log: Path, image: Path) -> bytes:
    """Body of the first answer with 200: the server may still be opening, or one of its workers."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError, http.client.HTTPException):
            status, body = _post(port, form, image)
            if status == 200:
                return body
        time.sleep(0.01)
    last = "\n".join(log.read_text(errors="replace").splitlines()[-5:])
    raise ServerFailed(f"no answer to {image.name} within {START_SECONDS} s; it said: {last or 'nothing'}")


def _check(image: Path, body: bytes, expected: Expected) -> None:
    said = json.loads(body)
    # BentoML answers a batch of one with a list of one.
    said = said[0] if isinstance(said, list) else said
    if said["label"] != expected.label or abs(said["trust_probability"] - expected.trust) > TOLERANCE:
        raise ServerFailed(f"{image.name} is answered by {body[:200]!r}; wanted {expected}")


def _post(port: int, form: Form, image: Path) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        body, content_type = encode(form, image)
        connection.request("POST", "/predict", body, {"Content-Type": content_type})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def encode(form: Form, image: Path) -> tuple[bytes, str]:
    """Body and content type of a request, as post.lua makes them."""
    data, image_type = image.read_bytes(), "image/jpeg" if image.suffix == ".jpg" else "image/png"
    if form == "raw":
        return data, image_type
    mark = "----benchmark7d1f9c"
    head = f'--{mark}\r\nContent-Disposition: form-data; name="image"; filename="{image.name}"\r\n'
    head += f"Content-Type: {image_type}\r\n\r\n"
    return head.encode() + data + f"\r\n--{mark}--\r\n".encode(), f"multipart/form-data; boundary={mark}"


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Politely, then all that it left behind: some servers end without their workers."""
    process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
