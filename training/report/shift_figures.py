"""Dot plots of the shift table: kinds of shift as rows, groups apart."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes

from training.report.content import ShiftRow
from training.report.drawing import BLUE, INK, MUTED, PAPER, VERMILION, drawing, to_svg

WIDTH = 3.1


def auroc_panel(rows: Sequence[ShiftRow]) -> Markup:
    softmax, trust = [100 * row.auroc_softmax for row in rows], [100 * row.auroc_trust for row in rows]
    alt = "Dot plot of AUROC by kind of shift, softmax confidence and trust; the numbers are in the table below."
    return _pairs("shift-auroc", rows, {"softmax": softmax, "trust": trust}, "AUROC", "AUROC, %", alt)


def net_trust_panel(rows: Sequence[ShiftRow]) -> Markup:
    true, estimate = [row.net_trust_score for row in rows], [row.estimate for row in rows]
    alt = "Dot plot of NetTrustScore by kind of shift, true and estimated; the numbers are in the table below."
    scores = {"true": true, "estimate": estimate}
    return _pairs("shift-net-trust", rows, scores, "NetTrustScore", "mean question-answer trust", alt)


def gain_panel(rows: Sequence[ShiftRow]) -> Markup:
    gain, low, high = 100 * np.array([[row.gain.difference, row.gain.low, row.gain.high] for row in rows]).T
    with drawing(WIDTH, _height(rows)) as (figure, [ax]):
        ax.axvline(0, color=INK, linewidth=1)
        bars = np.nan_to_num([gain - low, high - gain])
        # An interval of few resamples may miss the value itself.
        ax.errorbar(gain, range(len(rows)), np.zeros(len(rows)), np.maximum(bars, 0), "D", color=BLUE, markersize=4.5)
        _kinds(ax, rows)
        ax.set_title("Gain of trust", pad=22)
        ax.set_xlabel("gain in AUROC, points")
        alt = "Dot plot of the gain in AUROC by kind of shift with 95 % intervals; the numbers are in the table below."
        return to_svg(figure, "shift-gain", alt)


def _pairs(
    name: str, rows: Sequence[ShiftRow], values: dict[str, list[float]], title: str, unit: str, alt: str
) -> Markup:
    """A ring and a dot in each row, and a line between them."""
    (ring_label, ring), (dot_label, dot) = values.items()
    places = np.arange(len(rows))
    with drawing(WIDTH, _height(rows)) as (figure, [ax]):
        ax.hlines(places, ring, dot, color=MUTED, linewidth=1.2)
        ax.plot(ring, places, "o", color=VERMILION, markerfacecolor=PAPER, markersize=6, label=ring_label)
        ax.plot(dot, places, "o", color=BLUE, markersize=5.5, label=dot_label)
        _kinds(ax, rows)
        ax.set_title(title, pad=22)
        ax.set_xlabel(unit)
        ax.legend(loc="lower left", bbox_to_anchor=(-0.05, 1.0), ncols=2, borderaxespad=0.1, handletextpad=0.1)
        return to_svg(figure, name, alt)


def _height(rows: Sequence[ShiftRow]) -> float:
    return 1.1 + 0.2 * len(rows)


def _kinds(ax: Axes, rows: Sequence[ShiftRow]) -> None:
    ax.set_yticks(range(len(rows)), [row.title for row in rows])
    ax.set_ylim(len(rows) - 0.4, -0.6)
    for place in range(1, len(rows)):
        if rows[place].group != rows[place - 1].group:
            ax.axhline(place - 0.5, color=MUTED, linewidth=0.8, linestyle=":")
