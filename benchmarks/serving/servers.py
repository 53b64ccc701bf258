"""The servers that are measured, the service among them; a new one is an entry here and a file in benchmarks/peers/."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parents[2]
CORES = len(os.sched_getaffinity(0))

Form = Literal["multipart", "raw"]


@dataclass(frozen=True)
class Server:
    """How a server is started, and how it is asked."""

    title: str
    """As the tables call it."""
    command: tuple[str, ...]
    """With {bin} for the folder of the environment's programs, {bundle}, {state} and {port} to fill in."""
    environment: str | None = None
    """Folder under .venvs/ for one whose packages exclude the service's; None: the environment of this process."""
    form: Form = "multipart"
    answers: bool = True
    """It says label and trust; False where it only takes the image."""
    workers: int = 1
    """Processes that answer, each opened by itself."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Of its process, beside BUNDLE."""

    def arguments(self, bundle: Path, state: Path, port: int) -> list[str]:
        """The command, filled in."""
        values = {"bin": str(self.programs), "bundle": str(bundle), "state": str(state), "port": str(port)}
        return [part.format(**values) for part in self.command]

    @property
    def programs(self) -> Path:
        """Folder of its python and of what its packages installed."""
        if self.environment is None:
            return Path(sys.executable).parent
        return ROOT / ".venvs" / self.environment / "bin"


_SERVE = ("{bin}/python", "-m", "service", "serve", "--port", "{port}")
_TRUSTSERVE = (*_SERVE, "--model", "{bundle}", "--state", "{state}", "--device", "cpu")
_UVICORN = ("{bin}/python", "-m", "uvicorn", "--port", "{port}", "--no-access-log", "--log-level", "warning")
_LITSERVE = ("{bin}/python", "-m", "benchmarks.peers.litserve", "{port}")
_BENTOML = ("{bin}/bentoml", "serve", "benchmarks.peers.bentoml:PairService", "--host", "127.0.0.1", "--port", "{port}")
_ONE_THREAD = {"THREADS": "1"}
_ALL_CORES = {"THREADS": str(CORES)}
_BENTOML_HOME = {"BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(ROOT / ".cache/bentoml")}


def _litserve(setting: str, *flags: str, threads: Mapping[str, str] = _ONE_THREAD) -> Server:
    return Server(f"LitServe 0.2.19, {setting}", (*_LITSERVE, *flags), "bench-litserve", variables=threads)


def _bentoml(setting: str, threads: Mapping[str, str]) -> Server:
    return Server(f"BentoML 1.4.39, {setting}", _BENTOML, "bench-bentoml", variables={**threads, **_BENTOML_HOME})


SERVERS: Mapping[str, Server] = {
    "trustserve": Server("trustserve", _TRUSTSERVE),
    "trustserve-2": Server("trustserve, 2 processes", (*_TRUSTSERVE, "--workers", "2"), workers=2),
    "trustserve-thread": Server("trustserve, a thread a network", (*_TRUSTSERVE, "--session-threads", "1")),
    "naive": Server("naive FastAPI, onnxruntime defaults", (*_UVICORN, "benchmarks.peers.naive:app")),
    "tuned": Server("tuned naive, 1 intra-op thread", (*_UVICORN, "benchmarks.peers.tuned:app"), variables=_ONE_THREAD),
    "tuned-2": Server(
        "tuned naive, 2 workers",
        (*_UVICORN, "--workers", "2", "benchmarks.peers.tuned:app"),
        workers=2,
        variables=_ONE_THREAD,
    ),
    "litserve": _litserve("fast queue", "--fast-queue"),
    "litserve-plain": _litserve("plain queue"),
    "litserve-batch": _litserve("batches of up to 32", "--fast-queue", "--batch", "32", "--wait-seconds", "0.002"),
    "litserve-2": _litserve("2 workers", "--fast-queue", "--workers", "2"),
    "litserve-cores": _litserve("all cores a network", "--fast-queue", threads=_ALL_CORES),
    "bentoml": _bentoml("batching", _ONE_THREAD),
    "bentoml-cores": _bentoml("batching, all cores a network", _ALL_CORES),
    "empty-upload": Server("empty FastAPI UploadFile", (*_UVICORN, "benchmarks.peers.empty:upload"), answers=False),
    "empty-raw": Server("empty FastAPI raw body", (*_UVICORN, "benchmarks.peers.empty:raw"), form="raw", answers=False),
    "bare": Server("bare uvicorn handler", (*_UVICORN, "benchmarks.peers.empty:bare"), form="raw", answers=False),
}
