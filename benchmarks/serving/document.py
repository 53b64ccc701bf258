"""Puts the run where it is read: JSON with every round, the plot, and the tables in their places of the document."""

import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnxruntime

from benchmarks.serving.pairs import SUBJECTS
from benchmarks.serving.plot import draw
from benchmarks.serving.rounds import Plan, Round
from benchmarks.serving.servers import ROOT
from benchmarks.serving.summary import not_answered
from benchmarks.serving.table import Cells, connection_table, server_table, target_table
from benchmarks.serving.targets import TARGETS

DOCUMENT = ROOT / "docs/performance.md"


def write_json(path: Path, plan: Plan, rounds: Sequence[Round]) -> None:
    """Every figure of every round, what was measured where, and the targets."""
    targets = [
        {"statement": target.statement, "bound": target.bound, "reached": value, "met": value and target.is_met(value)}
        for target in TARGETS
        if (value := target.reached(rounds)) is not None
    ]
    content: dict[str, Any] = {
        "machine": machine(),
        "rounds_planned": plan.rounds,
        "connections": plan.connections,
        "targets": targets,
        "not_answered": not_answered(rounds),
        "rounds": rounds,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")


def write_plot(path: Path, plan: Plan, rounds: Sequence[Round]) -> None:
    """The pairs that all servers were measured with."""
    if subjects := [name for name in plan.subjects if SUBJECTS[name].alone]:
        draw(rounds, subjects, plan.connections, path)


def write_tables(document: Path, plan: Plan, rounds: Sequence[Round]) -> None:
    """Replaces what stands between the document's markers."""
    put(document, "machine", [machine()])
    put(document, "servers", [server_table(rounds)])
    put(document, "targets", [target_table(rounds)])
    curves: list[str | Cells] = []
    for name in plan.subjects:
        curves += [f"**{SUBJECTS[name].title}**", connection_table(rounds, name, plan.connections_of(name))]
    put(document, "connections", curves)


def put(document: Path, part: str, paragraphs: Sequence[str | Cells]) -> None:
    """Replaces one part of the document, between its two markers, by these paragraphs and tables."""
    texts = "\n\n".join(each if isinstance(each, str) else as_markdown(each) for each in paragraphs)
    begin, end = f"<!-- {part} -->", f"<!-- /{part} -->"
    before, found, rest = document.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"{document} has no place for {part!r}; wanted a line {begin} and a line {end}")
    document.write_text(f"{before}{begin}\n\n{texts}\n\n{end}{after}")


def as_markdown(cells: Cells) -> str:
    """A table of header and rows, all but the first column to the right.

    >>> print(as_markdown([["server", "answers/s"], ["bare", "32,800"]]))
    | server | answers/s |
    | --- | --: |
    | bare | 32,800 |
    """
    rule = ["---"] + ["--:"] * (len(cells[0]) - 1)
    return "\n".join(f"| {' | '.join(row)} |" for row in (cells[0], rule, *cells[1:]))


def machine() -> str:
    """The machine and the versions that matter, in a sentence."""
    cores = len(os.sched_getaffinity(0))
    return (
        f"{_processor()}, {cores} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}, "
        f"onnxruntime {onnxruntime.__version__}."
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
