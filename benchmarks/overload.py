"""Ten times what the service can do, for a minute: `make soak`, or `python -m benchmarks.overload [seconds]`.

The bundle is a tiny one whose network is kept busy for 10 ms an image, so that it, and not this machine's talk with
itself over the loopback, is what there is too little of. The table goes into docs/reliability.md.
"""

import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from benchmarks.document import fill
from tests.exposition import series
from tests.reliability.bundles import write_faulty_bundle
from tests.reliability.examples import Example, tiny_examples
from tests.reliability.footprint import footprint
from tests.reliability.load import Load, Outcome, run
from tests.service.server import ROOT, Server

DOCUMENT = ROOT / "docs/reliability.md"
SECONDS = 60.0
SECONDS_AN_IMAGE = 0.01
DEADLINE_SECONDS = 2.0
TIMES = 10
CONNECTIONS = 16
OPEN_CONNECTIONS = 1_000
"""More than ever are under way at once: 256 that wait, and those that are being turned away."""


@dataclass(frozen=True)
class Overload:
    """What was measured."""

    capacity: float
    """Images a second, the mean of before and after."""
    offered: float
    """Requests a second."""
    outcome: Outcome
    computed: int
    """Images that went through the networks meanwhile, in time or not."""
    resident_bytes: int
    """At capacity, before."""
    peak_resident_bytes: int


def main(seconds: float) -> None:
    """Measures, prints and writes the table."""
    with tempfile.TemporaryDirectory() as folder:
        bundle = write_faulty_bundle(Path(folder) / "busy", SECONDS_AN_IMAGE)
        with start_server(Path(folder), bundle) as server:
            measured = overload(server, tiny_examples(1_024), seconds, capacity_seconds=seconds / 6)
    fill(DOCUMENT, "overload", table(measured))


def start_server(folder: Path, bundle: Path) -> Server:
    """The service that is to be asked for too much."""
    return Server(folder, "--model", str(bundle), "--deadline-seconds", str(DEADLINE_SECONDS), "--session-threads", "1")


def overload(server: Server, examples: list[Example], seconds: float, capacity_seconds: float) -> Overload:
    """Capacity, ten times as much, and capacity once more: a machine that slows down meanwhile is no finding."""

    def capacity() -> float:
        return run(Load(server.port, examples).closed(CONNECTIONS, seconds=capacity_seconds)).rate

    before = capacity()
    resident_bytes = footprint(server.process.pid).resident_bytes
    computed = -_computed(server)
    with _Peak(server.process.pid) as peak:
        outcome = run(Load(server.port, examples).open(TIMES * before, seconds, OPEN_CONNECTIONS))
    computed += _computed(server)
    offered = TIMES * before
    return Overload((before + capacity()) / 2, offered, outcome, computed, resident_bytes, peak.resident_bytes)


def table(measured: Overload) -> str:
    """As Markdown."""
    outcome = measured.outcome
    rows = {
        "answered a second at capacity": f"{measured.capacity:,.0f}",
        "asked for a second, for so many seconds": f"{measured.offered:,.0f}, {outcome.elapsed:.0f}",
        "answered a second": f"{outcome.rate:,.0f} ({outcome.rate / measured.capacity:.2f} of capacity)",
        "computed, and answered in time": f"{measured.computed:,}, {outcome.statuses[200] / measured.computed:.2f}",
        "answers by status": ", ".join(f"{count:,} x {status}" for status, count in outcome.statuses.items()),
        "without an answer, with another image's": f"{len(outcome.lost)}, {len(outcome.wrong)}",
        "deadline": f"{DEADLINE_SECONDS:g} s",
        "answered within (p50, p99)": f"{outcome.quantile(0.5):.2f} s, {outcome.quantile(0.99):.2f} s",
        "turned away within (p50, p99)": f"{1e3 * outcome.quantile(0.5, 503):.0f} ms, "
        f"{1e3 * outcome.quantile(0.99, 503):.0f} ms",
        "memory at capacity, most under overload": f"{measured.resident_bytes / 1e6:.0f} MB, "
        f"{measured.peak_resident_bytes / 1e6:.0f} MB",
    }
    return "| | |\n| --- | --: |\n" + "\n".join(f"| {name} | {value} |" for name, value in rows.items())


def _computed(server: Server) -> int:
    return int(server.metrics()[series("trust_batch_size_sum")])


class _Peak(threading.Thread):
    """Looks at a process ten times a second."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.resident_bytes = 0
        self._pid = pid
        self._over = threading.Event()

    def __enter__(self) -> "_Peak":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        while not self._over.wait(0.1):
            self.resident_bytes = max(self.resident_bytes, footprint(self._pid).resident_bytes)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS)
