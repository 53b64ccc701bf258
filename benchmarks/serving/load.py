"""Load from a process of its own: wrk on loopback, each connection sends its next image once it has its answer."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.serving.servers import Form

SCRIPT = Path(__file__).with_name("post.lua")
TIMEOUT_SECONDS = 30
"""wrk counts a later answer as broken."""


class LoadFailed(Exception):
    """The load generator is missing, or said nothing."""


@dataclass(frozen=True)
class Load:
    """What came of some seconds of load; latencies in milliseconds."""

    answers: int
    rate: float
    """Answers a second."""
    mean: float
    p50: float
    p99: float
    failed: int
    """Answers that were not 2xx, connections that broke, and answers that never came."""


def put_under_load(url: str, form: Form, images: Sequence[Path], connections: int, seconds: float) -> Load:
    """What a server gives to so many connections.

    Args:
        url: where it takes images.
        form: how they are sent.
        images: files, sent in turn.
        connections: kept alive, each with one request in flight.
        seconds: how long.

    Raises:
        LoadFailed: wrk is not there, or found no server.
    """
    wrk = shutil.which("wrk")
    if wrk is None:
        raise LoadFailed("wrk is missing; on Debian: apt-get install wrk")
    command = [wrk, "--threads", "1", "--connections", str(connections), "--duration", f"{max(1, round(seconds))}s"]
    command += ["--timeout", f"{TIMEOUT_SECONDS}s", "--script", str(SCRIPT), url, "--", form, *map(str, images)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LoadFailed(f"wrk ended with {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    return read_load(done.stdout)


def read_load(output: str) -> Load:
    """What wrk printed, its last line from post.lua.

    Raises:
        LoadFailed: there is no such line.
    """
    line = output.strip().rpartition("\n")[2]
    if not line.startswith("{"):
        raise LoadFailed(f"wrk said nothing that can be read: {output.strip()[-200:]!r}")
    said = json.loads(line)
    failed = said["not_2xx"] + said["broken"]
    answers = said["answers"] - said["not_2xx"]
    rate = answers / (said["microseconds"] / 1e6)
    return Load(answers, rate, said["mean"] / 1000, said["p50"] / 1000, said["p99"] / 1000, failed)
