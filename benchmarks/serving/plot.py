"""Throughput and p99 against the number of connections, as SVG."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot as plt  # noqa: E402

from benchmarks.serving.rounds import Round  # noqa: E402
from benchmarks.serving.servers import SERVERS  # noqa: E402
from benchmarks.serving.summary import Term, of_rounds  # noqa: E402

SHOWN = ("trustserve", "trustserve-2", "tuned", "tuned-2", "naive", "litserve", "bentoml", "empty-upload")


def draw(rounds: Sequence[Round], subjects: Sequence[str], connections: Sequence[int], path: Path) -> None:
    """One row a subject: answers a second left, p99 right; both axes in powers."""
    plt.rcParams["svg.hashsalt"] = "trustserve"
    figure, axes = plt.subplots(len(subjects), 2, figsize=(10, 4 * len(subjects)), squeeze=False)
    for (left, right), subject in zip(axes, subjects, strict=True):
        for name in SHOWN:
            _line(left, rounds, subject, name, "rate", connections)
            _line(right, rounds, subject, name, "p99", connections)
        left.set_ylabel(f"{subject}: answers a second")
        right.set_ylabel(f"{subject}: p99 in ms")
        for axis in (left, right):
            axis.set_xscale("log", base=2)
            axis.set_yscale("log")
            axis.set_xticks(connections, [str(count) for count in connections])
            axis.set_xlabel("connections")
            axis.grid(alpha=0.3)
    axes[0][1].legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _line(
    axis: plt.Axes, rounds: Sequence[Round], subject: str, server: str, figure: str, connections: Sequence[int]
) -> None:
    found = [(count, of_rounds(rounds, Term(subject, (server,), f"{figure}@{count}").of)) for count in connections]
    points = [(count, value) for count, value in found if value is not None]
    if points:
        ours = server.startswith("trustserve")
        x, y = zip(*points, strict=True)
        axis.plot(x, y, marker="o", linewidth=2.5 if ours else 1, label=SERVERS[server].title)
