"""python -m demo.figure docs/monitoring.svg: draws what the monitor says while images go hazy."""

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt

from demo.replay import CLEAN_SECONDS, HAZE_BEGINS, HAZE_SECONDS, WINDOW_SECONDS, Moment, moments
from demo.service import ROOT, service

_MODEL = ROOT / "models/fashion-mnist"
_LINES = {
    "mean trust (no labels)": ("traffic", "mean_trust", "#0072b2"),
    "NetTrustScore, estimated (no labels)": ("traffic", "net_trust_score_estimate", "#009e73"),
    "NetTrustScore, prediction-powered (labels of a quarter)": (
        "labels",
        "net_trust_score_prediction_powered",
        "#d55e00",
    ),
}


def main() -> None:
    """Replays, then draws."""
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "trustserve"
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="trustserve-demo-")))
        port = stack.enter_context(service(_MODEL, folder))
        story = list(moments(port, None, _MODEL / "samples", CLEAN_SECONDS, HAZE_SECONDS))
    draw(story, Path(sys.argv[1]))


def draw(story: list[Moment], to: Path) -> None:
    """Value and 95 % interval over time, the truth, and when which alarm was raised."""
    figure, axes = plt.subplots(figsize=(9, 4.5), layout="constrained")
    seconds = [moment.seconds for moment in story]
    for title, (part, name, colour) in _LINES.items():
        found = [moment.report[part].get(name) or {} for moment in story]
        axes.plot(seconds, _column(found, "value"), color=colour, label=title)
        axes.fill_between(seconds, _column(found, "low"), _column(found, "high"), color=colour, alpha=0.2)
    accuracy = [moment.accuracy for moment in story]
    axes.plot(seconds, accuracy, color="black", linestyle=":", label="true accuracy")
    for number, sighting in enumerate(story[-1].seen):
        style = "-" if sighting.name == HAZE_BEGINS else "--"
        axes.axvline(sighting.seconds, color="grey", linewidth=0.8, linestyle=style)
        place = (sighting.seconds, 0.02 + 0.055 * number)
        axes.annotate(sighting.name, place, xytext=(4, 0), textcoords="offset points", fontsize=8)
    axes.set(ylim=(0, 1), xlabel="seconds", ylabel=f"over the last {WINDOW_SECONDS} seconds")
    axes.legend(loc="lower left", fontsize=8, frameon=False, bbox_to_anchor=(0, 0.25))
    figure.savefig(to, metadata={"Date": None})


def _column(figures: list[dict[str, Any]], name: str) -> list[float]:
    """A value each; NaN, which draws a gap, where there is insufficient data."""
    return [float(figure.get(name, "nan")) for figure in figures]


if __name__ == "__main__":
    main()
