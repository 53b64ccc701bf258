"""Drawings of question-answer trust: its mean in each class, and where it lies."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from training.report.drawing import BLUE, INK, MUTED, ORANGE, PAPER, drawing, shortened, to_svg
from trust.score import trust_density

Floats = NDArray[np.float64]

SHOWN = 15
"""So many classes of the least and of the most trust are drawn where there are more than twice as many."""
POINTS = np.linspace(0, 1, 201)
_POINTS_AT_ONCE = 8
_DENSITY_TICKS = (0, 1, 5, 20, 50, 100, 200, 500)


def density_of(trust: Floats) -> Floats:
    """`trust_density` at POINTS, a few at a time: all at once would hold 201 x 3 N kernels."""
    parts = [trust_density(trust, POINTS[i : i + _POINTS_AT_ONCE]) for i in range(0, len(POINTS), _POINTS_AT_ONCE)]
    return np.concatenate(parts)


def spectrum_panel(names: Sequence[str], means: Floats, half: Floats, net_trust_score: float) -> Markup:
    """A dot a class with its interval of mean ± half, and the mean over all."""
    bars = np.nan_to_num(half)
    with drawing(width=5.8, height=0.9 + 0.22 * len(names)) as (figure, [ax]):
        ax.axvline(net_trust_score, color=INK, linestyle="--", linewidth=1)
        ax.errorbar(means, range(len(names)), xerr=bars, fmt="o", color=BLUE, markersize=6, elinewidth=1.4)
        if len(names) == 2 * SHOWN:
            ax.axhline(SHOWN - 0.5, color=MUTED, linewidth=0.8, linestyle=":")
        ax.set_yticks(range(len(names)), [shortened(name) for name in names])
        ax.set(ylim=(len(names) - 0.4, -0.6), xlabel="mean question-answer trust")
        ax.set_xlim(max(-0.015, float((means - bars).min()) - 0.03), min(1.015, float((means + bars).max()) + 0.03))
        alt = f"Dot plot of mean question-answer trust by class, from {names[0]} {means[0]:.3f} to {names[-1]} "
        return to_svg(figure, "spectrum", alt + f"{means[-1]:.3f}.")


def two_densities(trust: Floats, correct: NDArray[np.bool_]) -> Markup:
    """Right answers on top of wrong ones, each weighted by its share."""
    wrong, right = (
        inside.mean() * density_of(trust[inside]) if inside.any() else 0 * POINTS for inside in (~correct, correct)
    )
    top = 1.05 * (wrong + right).max()
    with drawing(height=4.3) as (figure, [ax]):
        ax.fill_between(POINTS, wrong, wrong + right, color=BLUE, alpha=0.35, linewidth=0, label="right answers")
        hatched: dict[str, Any] = {"facecolor": PAPER, "edgecolor": ORANGE, "hatch": "/////", "linewidth": 0.6}
        ax.fill_between(POINTS, wrong, label="wrong answers", **hatched)
        ax.plot(POINTS, wrong + right, color=BLUE, linewidth=1.4)
        ax.set_yscale("function", functions=(lambda y: np.sqrt(np.maximum(y, 0)), np.square))
        ax.set_yticks([tick for tick in _DENSITY_TICKS if tick <= top])
        ax.set(title="All answers", xlabel="question-answer trust", ylabel="density", xlim=(0, 1), ylim=(0, top))
        ax.legend(loc="upper center")
        alt = f"Density of question-answer trust of right and wrong answers; the mean of all is {trust.mean():.3f}."
        return to_svg(figure, "density-all", alt)


def class_densities(trust: Mapping[str, Floats]) -> Markup:
    """A ridge for each class."""
    with drawing(height=4.3) as (figure, [ax]):
        for row, values in enumerate(trust.values()):
            height = np.sqrt(density_of(values))
            floor = row + 0.45
            ridge = floor - 0.85 * height / height.max()
            ax.fill_between(POINTS, floor, ridge, color=BLUE, alpha=0.35, linewidth=0)
            ax.plot(POINTS, ridge, color=BLUE, linewidth=1.1)
            ax.vlines(values.mean(), row + 0.1, floor, color=INK, linewidth=1.4)
        ax.set_yticks(range(len(trust)), [shortened(name) for name in trust])
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="y", visible=False)
        ax.set(title="By true class", xlabel="question-answer trust", xlim=(0, 1), ylim=(len(trust) - 0.4, -0.6))
        alt = "Ridge plot of the density of question-answer trust by class; the table below has its quantiles."
        return to_svg(figure, "density-classes", alt)
