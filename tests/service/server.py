"""A running `trustserve serve` in a process of its own."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import httpx

from tests.exposition import Series, samples

ROOT = Path(__file__).parents[2]
TRUSTSERVE = [sys.executable, "-m", "service"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


class Server:
    """A running `trustserve serve`, once it said that it answers; as a context, it does not outlive it.

    Args:
        folder: where it runs, and where its stderr goes.
        arguments: flags of `serve`.
        under: a command that runs it and becomes it, such as `prlimit --nofile=128`.
        environment: variables beside the test's own.
        port: 0 for a free one.
    """

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        under: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        port: int = 0,
    ) -> None:
        self.log = (folder / "stderr").open("w+")
        self.process = subprocess.Popen(
            [*under, *TRUSTSERVE, "serve", "--port", str(port), *arguments],
            cwd=folder,
            env={**ENVIRONMENT, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        assert self.process.stdout is not None
        self.banner = [self.process.stdout.readline().strip() for _ in range(4)]
        found = re.search(r"http://127\.0\.0\.1:(\d+)", self.banner[0])
        assert found, self.stderr()
        self.url, self.port = found[0], int(found[1])

    def __enter__(self) -> "Server":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stderr(self) -> str:
        self.log.seek(0)
        return self.log.read()

    def metrics(self) -> dict[Series, float]:
        return samples(httpx.get(f"{self.url}/metrics", timeout=30).text)

    def complaints(self) -> list[str]:
        """Lines of the log that are more than news."""
        return [line for line in self.stderr().splitlines() if '"level": "info"' not in line]

    def stop(self, with_signal: int = signal.SIGINT) -> int:
        self.process.send_signal(with_signal)
        return self.process.wait(60)
