"""Figures of a report: each says on how many answers it rests, and has no number where they are too few."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from service.monitor.estimates import Z_95, Estimate
from service.monitor.schemas import Density, Figure, State

Floats = NDArray[np.float64]

INSUFFICIENT: State = "insufficient data"


@dataclass(frozen=True)
class Figures:
    """Makes figures from at least `minimum` answers."""

    minimum: int

    def of(self, answers: float, estimate: Callable[[], Estimate | None]) -> Figure:
        """What `estimate` gives, where the answers suffice."""
        found = estimate() if answers >= self.minimum else None
        if found is None:
            return Figure(state=INSUFFICIENT, answers=round(answers))
        return Figure(state="ok", answers=round(answers), value=found.value, low=found.low, high=found.high)

    def density(self, bins: Floats) -> Density:
        """Of counts over equal bins of [0, 1].

        >>> Figures(minimum=2).density(np.array([3.0, 1.0])).bins    # three of four below .5
        [1.5, 0.5]
        """
        answers = round(bins.sum())
        if answers < self.minimum:
            return Density(state=INSUFFICIENT, answers=answers)
        return Density(state="ok", answers=answers, bins=(bins / bins.mean()).tolist())


def weighted_mean(values: ArrayLike, weights: ArrayLike, limits: tuple[float, float] = (0.0, 1.0)) -> Estimate | None:
    """Mean of values (n,) of which each stands for `weight` answers, (n,); None below 2.

        value = sum w x / sum w,   SE^2 = n / (n - 1) * sum w^2 (x - value)^2 / (sum w)^2

    Hajek's ratio: right where reviewers choose what they look at, as long as they say how probable each choice was.

    >>> found = weighted_mean([1, 1, 0], [1, 1, 8])    # reviewers were eight times as eager to see the first two
    >>> round(found.value, 3)
    0.2
    """
    values, weights = np.asarray(values, float), np.asarray(weights, float)
    n = values.size
    if n < 2:
        return None
    total = weights.sum()
    value = float(weights @ values / total)
    error = float(np.sqrt(n / (n - 1) * (weights**2 @ (values - value) ** 2)) / total)
    low, high = np.clip([value - Z_95 * error, value + Z_95 * error], *limits).tolist()
    return Estimate(value, low, high, error, n)


def effective_number(weights: ArrayLike) -> float:
    """How many answers of equal weight say as much: (sum w)^2 / sum w^2 (Kish, "Survey Sampling", 1965).

    >>> effective_number([1, 1, 2])    # 16 / 6
    2.6666666666666665
    """
    weights = np.asarray(weights, float)
    return float(weights.sum() ** 2 / (weights**2).sum())
