"""Throughput and p99 against the number of connections, as SVG."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.serving.rounds import Round
from benchmarks.serving.servers import SERVERS
from benchmarks.serving.summary import Term, of_rounds

SHOWN = ("trustserve", "trustserve-2", "tuned", "tuned-2", "naive", "litserve", "litserve-2", "bentoml", "empty-upload")


def draw(rounds: Sequence[Round], subjects: Sequence[str], connections: Sequence[int], path: Path) -> None:
    """One row a subject: answers a second left, p99 right; all axes logarithmic."""
    figure = Figure(figsize=(10, 4 * len(subjects)), layout="constrained")
    axes = figure.subplots(len(subjects), 2, squeeze=False)
    for (left, right), subject in zip(axes, subjects, strict=True):
        _panel(left, rounds, subject, "rate", connections, f"{subject}: answers a second")
        _panel(right, rounds, subject, "p99", connections, f"{subject}: p99 in ms")
    # Below, where it hides no curve.
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    # The same figures, the same file.
    with matplotlib.rc_context({"svg.hashsalt": "trustserve"}):
        figure.savefig(path, metadata={"Date": None})


def _panel(
    axis: Axes, rounds: Sequence[Round], subject: str, figure: str, connections: Sequence[int], label: str
) -> None:
    for server in SHOWN:
        values = [of_rounds(rounds, Term(subject, (server,), f"{figure}@{count}").of) for count in connections]
        points = [(count, value) for count, value in zip(connections, values, strict=True) if value is not None]
        if points:
            width = 2.5 if server.startswith("trustserve") else 1.0
            # A server has its colour, whichever others are there.
            colour, title = f"C{SHOWN.index(server)}", SERVERS[server].title
            axis.plot(*zip(*points, strict=True), color=colour, marker="o", linewidth=width, label=title)
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    axis.set_xticks(connections, [str(count) for count in connections])
    axis.set_xlabel("connections")
    axis.set_ylabel(label)
    axis.grid(alpha=0.3)
