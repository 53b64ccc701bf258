"""Reliability: of the answers with trust about 80 %, are 80 % right? Before and after the calibration map."""

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from scipy.stats import binomtest

from training.metrics.calibration import ece
from training.report.content import ReportContent
from training.report.drawing import BLUE, INK, MUTED, PAPER, drawing, to_svg
from training.report.section import MISSING, Plot, Section, Table, number, percent

Floats = NDArray[np.float64]

BINS = 15
"""As of `training.metrics.calibration.ece`."""


@dataclass(frozen=True)
class Bin:
    low: float
    high: float
    count: int
    probability: float
    """Mean in the bin; NaN where it is empty, as are the rest."""
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    """Wilson's 95 % interval."""


def reliability_bins(probability: Floats, correct: NDArray[np.bool_], bins: int = BINS) -> list[Bin]:
    """Equal-width bins of [0, 1]; a bin holds its lower edge, the last one both.

    >>> low, high = reliability_bins(np.array([0.2, 0.6, 0.8]), np.array([False, True, False]), bins=2)
    >>> low.count, low.accuracy, high.count, round(high.probability, 3), high.accuracy
    (1, 0.0, 2, 0.7, 0.5)
    """
    probability = np.clip(probability, 0, 1)
    index = np.minimum((probability * bins).astype(int), bins - 1)
    found = []
    for i in range(bins):
        inside = index == i
        count, right = int(inside.sum()), int(correct[inside].sum())
        if not count:
            found.append(Bin(i / bins, (i + 1) / bins, 0, *[float("nan")] * 4))
            continue
        interval = binomtest(right, count).proportion_ci(method="wilson")
        mean = float(probability[inside].mean())
        found.append(Bin(i / bins, (i + 1) / bins, count, mean, right / count, interval.low, interval.high))
    return found


def reliability_section(content: ReportContent) -> Section:
    shown = {} if content.uncalibrated is None else {"Before calibration": content.uncalibrated}
    shown["After calibration" if shown else "As served"] = content.trust
    bins = {title: reliability_bins(score, content.correct) for title, score in shown.items()}
    errors = {title: ece(score, content.correct) for title, score in shown.items()}
    caption = (
        f"Share of right answers against mean trust in {BINS} equal bins, with Wilson's 95 % interval; on the diagonal "
        "trust can be taken at its word. Below, how many answers each bin holds, on a logarithmic scale."
        + "".join(f" {title}, ECE is {number(error, 4)}." for title, error in errors.items())
    )
    panels = [_panel(title, of, errors[title]) for title, of in bins.items()]
    return Section(
        "reliability",
        "Is trust a probability?",
        [
            "A trust of 0.8 should mean that four of five such answers are right. The test images fitted neither the "
            "networks nor the calibration."
        ],
        plots=[Plot("plot-reliability", "Reliability diagram", panels, caption, _table(bins))],
        numbers={title: {"ece": errors[title], "bins": [vars(b) for b in of]} for title, of in bins.items()},
    )


def _panel(title: str, bins: list[Bin], error: float) -> Markup:
    filled = [b for b in bins if b.count]
    x, y = np.array([b.probability for b in filled]), np.array([b.accuracy for b in filled])
    bars = np.abs(np.array([[b.accuracy_low, b.accuracy_high] for b in filled]).T - y)
    with drawing(height=4.3, heights=(3, 1)) as (figure, [diagram, counts]):
        diagram.plot([0, 1], [0, 1], color=MUTED, linestyle="--", linewidth=1)
        diagram.errorbar(
            x, y, yerr=bars, color=BLUE, ecolor=BLUE, elinewidth=1.2, marker="o", markersize=5, markeredgecolor=PAPER
        )
        diagram.set(title=title, ylabel="share of right answers", ylim=(-0.02, 1.02))
        diagram.text(0.97, 0.05, f"ECE {error:.4f}", transform=diagram.transAxes, ha="right", color=INK)
        edges = [b.low for b in bins]
        counts.bar(edges, [b.count for b in bins], width=1 / len(bins), align="edge", color=MUTED, edgecolor=PAPER)
        counts.set_yscale("symlog", linthresh=1)
        most = max(b.count for b in bins)
        ticks = [t for t in (1, 10, 100, 1000, 10**4, 10**5, 10**6) if t <= max(most, 10)]
        counts.set_yticks(ticks, [f"{t:,}" for t in ticks])
        counts.minorticks_off()
        counts.set(ylabel="answers", xlabel="trust, mean of the bin", xlim=(0, 1), ylim=(0, 1.5 * most))
        alt = f"Reliability diagram, {title.lower()}: share of right answers against trust; ECE {error:.4f}."
        return to_svg(figure, f"reliability-{title.split()[0].lower()}", alt)


def _table(bins: dict[str, list[Bin]]) -> Table:
    header = ["trust"]
    for title in bins:
        header += [f"{title.lower()}: answers", "mean trust", "right, %", "95 % interval"]
    rows = []
    for same in zip(*bins.values(), strict=True):
        row = [f"{same[0].low:.3f} to {same[0].high:.3f}"]
        for b in same:
            interval = f"{percent(b.accuracy_low)} to {percent(b.accuracy_high)}" if b.count else MISSING
            row += [f"{b.count:,}", number(b.probability), percent(b.accuracy), interval]
        rows.append(row)
    return Table("Reliability by bin", header, rows)
