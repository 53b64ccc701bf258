"""A running `trustserve serve` in a process of its own."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TRUSTSERVE = [sys.executable, "-m", "service.cli"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


class Server:
    """A running `trustserve serve`, once it said that it answers."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.log = (folder / "stderr").open("w+")
        self.process = subprocess.Popen(
            [*TRUSTSERVE, "serve", "--port", "0", *arguments],
            cwd=folder,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        assert self.process.stdout is not None
        self.banner = [self.process.stdout.readline().strip() for _ in range(4)]
        found = re.search(r"http://127\.0\.0\.1:(\d+)", self.banner[0])
        assert found, self.stderr()
        self.url, self.port = found[0], int(found[1])

    def stderr(self) -> str:
        self.log.seek(0)
        return self.log.read()

    def stop(self, with_signal: int = signal.SIGINT) -> int:
        self.process.send_signal(with_signal)
        return self.process.wait(60)
