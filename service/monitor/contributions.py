"""Where the change since the reference comes from: which classes, and whether they are asked more or served worse.

With shares p_c and means m_c of the classes, primes for live and M for the reference's mean over all:

    mix_c = (p'_c - p_c) (m_c - M),   within_c = p'_c (m'_c - m_c),   sum over c of both = the change, exactly.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEAST_ANSWERS = 30
"""Of a class, on each side, below which its mean has no normal distribution to be tested by."""

LEAST_EXPECTED = 5
"""Answers inside and outside the class, on each side, below which the same holds for its share (Cochran's rule)."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ClassSums:
    """Answers by class with the sums of what is averaged, (K,) each."""

    counts: Floats
    totals: Floats
    squares: Floats

    @property
    def shares(self) -> Floats:
        """Share of all answers, (K,)."""
        return np.asarray(self.counts / self.counts.sum())

    @property
    def means(self) -> Floats:
        """(K,), NaN where there is no answer."""
        return _divide(self.totals, self.counts)

    @property
    def mean(self) -> float:
        """Over all answers."""
        return float(self.totals.sum() / self.counts.sum())


@dataclass(frozen=True, slots=True)
class Contributions:
    """What each class adds to the change of the mean, (K,) each; a p-value is NaN where answers are too few to say."""

    change: float
    mix: Floats
    within: Floats
    mix_p_value: Floats
    """Two-sample z test of the class's share, not yet corrected for how many classes are asked."""
    within_p_value: Floats
    """Two-sample z test of the class's mean, likewise."""

    def significant(self, level: float = 0.05) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Mix and within, (K,) each: those of which at most this share, on average, are there by chance alone."""
        adjusted = benjamini_hochberg(np.concatenate([self.mix_p_value, self.within_p_value]))
        mix, within = np.split(adjusted <= level, 2)
        return mix, within


def contributions(live: ClassSums, reference: ClassSums) -> Contributions:
    """Takes the change of the mean between two samples apart, by class.

    A class that only one side has changed the mix, and nothing else.

    >>> reference = ClassSums(np.array([50.0, 50]), np.array([45.0, 35]), np.array([41.0, 25]))    # means .9 and .7
    >>> live = ClassSums(np.array([25.0, 75]), np.array([22.5, 45]), np.array([20.5, 28]))         # means .9 and .6
    >>> found = contributions(live, reference)
    >>> round(found.change, 3), found.mix.round(3).tolist(), found.within.round(3).tolist()
    (-0.125, [-0.025, -0.025], [0.0, -0.075])

    Raises:
        ValueError: a side has no answer, or the two are not over the same classes.
    """
    if live.counts.shape != reference.counts.shape:
        raise ValueError(f"live has {live.counts.size} classes, the reference {reference.counts.size}; wanted the same")
    if not live.counts.sum() > 0 or not reference.counts.sum() > 0:
        raise ValueError("0 answers contribute nothing; wait for some before asking where the change is from")
    before = np.where(reference.counts > 0, reference.means, live.means)
    both = (live.counts > 0) & (reference.counts > 0)
    asked = (live.counts > 0) | (reference.counts > 0)
    change_of_mean = np.subtract(live.means, before, out=np.zeros(before.shape), where=both)
    away = np.subtract(before, reference.mean, out=np.zeros(before.shape), where=asked)
    return Contributions(
        change=live.mean - reference.mean,
        mix=(live.shares - reference.shares) * away,
        within=live.shares * change_of_mean,
        mix_p_value=_share_p_values(live.counts, reference.counts),
        within_p_value=_mean_p_values(live, reference),
    )


def benjamini_hochberg(p_values: ArrayLike) -> Floats:
    """Adjusted p-values, same shape; NaN, a test that was not made, stays NaN and does not count.

    What is at or below a level holds the false discovery rate at that level, for tests that are independent or depend
    on each other positively. Benjamini and Hochberg, "Controlling the False Discovery Rate", JRSSB 1995.

    >>> benjamini_hochberg([0.01, 0.04, 0.03, np.nan]).round(3).tolist()    # times 3/1; 3/3; 3/2, but not above .04
    [0.03, 0.04, 0.04, nan]
    """
    p_values = np.asarray(p_values, float)
    adjusted = np.full(p_values.shape, np.nan)
    tested = np.flatnonzero(~np.isnan(p_values))
    order = tested[np.argsort(p_values[tested])]
    scaled = p_values[order] * order.size / np.arange(1, order.size + 1)
    adjusted[order] = np.minimum.accumulate(scaled[::-1])[::-1]
    return adjusted


def _mean_p_values(live: ClassSums, reference: ClassSums) -> Floats:
    variance = _squared_error(live) + _squared_error(reference)
    enough = np.minimum(live.counts, reference.counts) >= LEAST_ANSWERS
    return _two_sided(live.means - reference.means, variance, enough)


def _share_p_values(live: Floats, reference: Floats) -> Floats:
    answers, answers_before = live.sum(), reference.sum()
    pooled = (live + reference) / (answers + answers_before)
    expected = np.minimum(pooled, 1 - pooled) * min(answers, answers_before)
    variance = pooled * (1 - pooled) * (1 / answers + 1 / answers_before)
    return _two_sided(live / answers - reference / answers_before, variance, expected >= LEAST_EXPECTED)


def _squared_error(sums: ClassSums) -> Floats:
    """Squared standard error of each class's mean, (K,)."""
    spread = np.maximum(sums.squares - _divide(sums.totals**2, sums.counts), 0)
    return _divide(spread, (sums.counts - 1) * sums.counts)


def _two_sided(differences: Floats, variances: Floats, enough: NDArray[np.bool_]) -> Floats:
    """P(a standard normal variable is further from 0 than difference / standard error), NaN where not enough."""
    pairs = zip(differences.tolist(), variances.tolist(), enough.tolist(), strict=True)
    return np.array([_p_value(*pair) if told else math.nan for *pair, told in pairs])


def _p_value(difference: float, variance: float) -> float:
    if variance > 0:
        return math.erfc(abs(difference) / math.sqrt(2 * variance))
    return float(difference == 0)


def _divide(a: Floats, b: Floats) -> Floats:
    """a / b, NaN where b is not above 0."""
    return np.asarray(np.divide(a, b, out=np.full(a.shape, np.nan), where=b > 0))
