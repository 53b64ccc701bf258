"""Half an hour at seven tenths of what the service can do: `make soak`, or `python -m benchmarks.soak [minutes]`.

Nothing may grow: memory, open files, threads, latency. Every answer is checked against its own image. The table goes
into docs/reliability.md; the exit status is 1 if something grew.
"""

import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.document import fill
from tests.reliability.examples import Example, bundle_examples
from tests.reliability.footprint import Footprint, footprint
from tests.reliability.load import Load, Outcome, run
from tests.service.server import ROOT, Server

DOCUMENT = ROOT / "docs/reliability.md"
BUNDLE = ROOT / "models/fashion-mnist"
MINUTES = 30.0
ROWS = 10
LOAD = 0.7
CAPACITY_CONNECTIONS, CONNECTIONS = 32, 256
MEMORY_BYTES = 10_000_000
"""Growth between the first and the last third that is still none: allocators breathe."""
LATENCY_FACTOR = 1.5
"""Likewise, of the 99th percentile; and what is a few milliseconds more is none either."""
LATENCY_SECONDS = 0.01
LET_GO_SECONDS = 0.5
"""In which the service notices that the connections of a row are closed."""


@dataclass(frozen=True)
class Row:
    """One part of the time."""

    minute: float
    """Since the begin, at its end."""
    outcome: Outcome
    footprint: Footprint
    """At its end."""


def main(minutes: float) -> int:
    """Soaks, prints and writes the table; gives back the exit status."""
    with tempfile.TemporaryDirectory() as folder, start_server(Path(folder)) as server:
        capacity, rows = soak(server, bundle_examples(BUNDLE, 512), 60 * minutes, ROWS)
    found = growth(rows)
    verdict = "; ".join(found) if found else "Nothing grew."
    fill(DOCUMENT, "soak", f"{table(capacity, rows)}\n\n{verdict}")
    return 1 if found else 0


def start_server(folder: Path) -> Server:
    """The service with its default settings, journal and all."""
    return Server(folder, "--model", str(BUNDLE), "--state", str(folder / "state"))


def soak(server: Server, examples: Sequence[Example], seconds: float, rows: int) -> tuple[float, list[Row]]:
    """Capacity in images a second, measured for a tenth of the time, and what became of the rest of it."""
    capacity = run(Load(server.port, examples).closed(CAPACITY_CONNECTIONS, seconds=seconds / 10)).rate
    found = []
    for number in range(1, rows + 1):
        outcome = run(Load(server.port, examples).open(LOAD * capacity, seconds / rows, CONNECTIONS))
        time.sleep(LET_GO_SECONDS)
        found.append(Row(seconds / 60 * number / rows, outcome, footprint(server.process.pid)))
    return capacity, found


def growth(rows: Sequence[Row]) -> list[str]:
    """What grew from the first third to the last one, and what failed, in words; the very first row warms up."""
    third = max(1, (len(rows) - 1) // 3)
    first, last = rows[1 : 1 + third], rows[-third:]
    found = []
    for name, allowed in {"resident_bytes": MEMORY_BYTES, "descriptors": 2, "threads": 1}.items():
        before, after = (np.median([getattr(row.footprint, name) for row in part]) for part in (first, last))
        if after > before + allowed:
            found.append(f"{name} grew from {before:,.0f} to {after:,.0f}")
    before, after = (np.median([row.outcome.quantile(0.99) for row in part]) for part in (first, last))
    if after > LATENCY_FACTOR * before + LATENCY_SECONDS:
        found.append(f"latency (p99) grew from {1e3 * before:.1f} to {1e3 * after:.1f} ms")
    return found + failures(rows)


def failures(rows: Sequence[Row]) -> list[str]:
    """What became of requests other than their answers, in words."""
    lost = [reason for row in rows for reason in row.outcome.lost]
    counts = {
        "got no answer": len(lost),
        "got another image's answer": sum(len(row.outcome.wrong) for row in rows),
        "got an error": sum(count for row in rows for status, count in row.outcome.statuses.items() if status != 200),
    }
    found = {what: f"{count} requests {what}" for what, count in counts.items() if count}
    if lost:
        found["got no answer"] += f", such as {lost[0]}"
    return list(found.values())


def table(capacity: float, rows: Sequence[Row]) -> str:
    """As Markdown."""
    answers = sum(row.outcome.statuses[200] for row in rows)
    lines = [
        f"{LOAD:.0%} of {capacity:,.0f} images a second; {answers:,} answers, each checked.",
        "",
        "| minute | answers a second | p50 ms | p99 ms | memory MB | descriptors | threads |",
        "| --: | --: | --: | --: | --: | --: | --: |",
    ]
    for row in rows:
        outcome, taken = row.outcome, row.footprint
        lines.append(
            f"| {row.minute:.3g} | {outcome.rate:,.0f} | {1e3 * outcome.quantile(0.5):.1f} "
            f"| {1e3 * outcome.quantile(0.99):.1f} | {taken.resident_bytes / 1e6:.1f} | {taken.descriptors} "
            f"| {taken.threads} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else MINUTES))
