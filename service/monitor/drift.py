"""How far the live traffic is from the reference, from counts over the same fixed bins, (B,) each.

Thresholds are what 1 % of windows exceed where nothing changed; they widen as there are fewer answers. The usual 0.1
and 0.25 for PSI do not: over 20 bins chance alone exceeds 0.1 with 100 answers, and 100,000 show far smaller changes.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from service.monitor.quantiles import chi_square_quantile

LEVEL = 0.99

LEAST_EXPECTED = 5
"""Answers in a bin, on each side, for chi-square to have its distribution (Cochran, 1954)."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Drift:
    """A distance from the reference, and what it stays below in 99 of 100 windows without any change."""

    value: float
    threshold: float | None
    """None where there is none that holds for every distribution."""

    @property
    def exceeded(self) -> bool:
        """Whether the distance is more than chance explains; False without a threshold."""
        return self.threshold is not None and self.value > self.threshold


def psi(live: ArrayLike, reference: ArrayLike) -> Drift:
    """Population stability index sum (p - q) ln(p / q), at least 0, shares being (count + 1/2) / (N + B/2).

    Threshold (1/N + 1/M) chi2(B - 1, .99): Yurdakul and Naranjo, "Statistical properties of the population stability
    index", Journal of Risk Model Validation 2020.

    >>> round(psi([9.5, 29.5], [19.5, 19.5]).value, 4)    # 1/4 and 3/4 against 1/2 each: (1/4) ln 3
    0.2747
    """
    live, reference = _counts(live, reference)
    p, q = ((counts + 0.5) / (counts.sum() + counts.size / 2) for counts in (live, reference))
    return Drift(float((p - q) @ np.log(p / q)), _noise(live, reference) * _chi_square_limit(live.size))


def ks(live: ArrayLike, reference: ArrayLike) -> Drift:
    """Kolmogorov-Smirnov distance over the bins' upper edges, in [0, 1].

    Threshold by Kolmogorov's limit distribution, on the safe side for scores that come in bins.

    >>> ks([1, 3], [2, 2]).value    # below the middle: 1/4 and 1/2
    0.25
    """
    live, reference = _counts(live, reference)
    distance = float(np.abs(_cumulative(live) - _cumulative(reference)).max())
    # The first term of Kolmogorov's series, 2 exp(-2 t^2) = 1 - level; the others are below 1e-9 here.
    return Drift(distance, math.sqrt(-math.log((1 - LEVEL) / 2) / 2 * _noise(live, reference)))


def wasserstein(live: ArrayLike, reference: ArrayLike, width: float) -> Drift:
    """Wasserstein-1 distance in units of the score: the area between both cumulative distributions over the bins.

    How much a score moved on average, had every answer moved the shortest way. Its noise depends on the distribution:
    no threshold.

    Args:
        width: of a bin.

    >>> wasserstein([0, 4], [2, 2], width=0.5).value    # half of the answers moved by one bin
    0.25
    """
    live, reference = _counts(live, reference)
    return Drift(float(np.abs(_cumulative(live) - _cumulative(reference)).sum() * width), None)


def jensen_shannon(live: ArrayLike, reference: ArrayLike) -> Drift:
    """Jensen-Shannon distance, the root of the divergence in bits, in [0, 1].

    Without a threshold: where bins are nearly empty chance moves it in ways that no simple limit covers. Use PSI's.

    >>> jensen_shannon([5, 0], [0, 5]).value    # nothing in common
    1.0
    """
    live, reference = _counts(live, reference)
    p, q = live / live.sum(), reference / reference.sum()
    middle = (p + q) / 2
    divergence = (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2
    return Drift(math.sqrt(max(0.0, divergence)), None)


def chi_square(live: ArrayLike, reference: ArrayLike) -> Drift:
    """Pearson's statistic that both are drawn alike: for the mix of predicted classes.

    Bins too rare to be compared one by one are compared as one, without which chance would exceed the threshold far
    more often than it should; where that leaves a single bin there is no threshold.

    >>> round(chi_square([10, 30], [20, 20]).value, 4)    # 4 cells, 5 off the expected 15 25 15 25: 2 (25/15 + 25/25)
    5.3333
    """
    live, reference = _pool_rare(*_counts(live, reference))
    ratio = math.sqrt(reference.sum() / live.sum())
    statistic = float(((live * ratio - reference / ratio) ** 2 / (live + reference)).sum())
    return Drift(statistic, _chi_square_limit(live.size) if live.size > 1 else None)


def _counts(live: ArrayLike, reference: ArrayLike) -> tuple[Floats, Floats]:
    live, reference = np.asarray(live, float), np.asarray(reference, float)
    if live.shape != reference.shape:
        raise ValueError(f"live counts {live.shape} and reference counts {reference.shape} are not over the same bins")
    if not live.sum() > 0 or not reference.sum() > 0:
        raise ValueError("0 answers have no distribution; wait for some before asking for drift")
    return live, reference


def _cumulative(counts: Floats) -> Floats:
    """Share of the answers up to each bin's upper edge, (B,)."""
    return np.asarray(counts.cumsum() / counts.sum())


def _noise(live: Floats, reference: Floats) -> float:
    """1/N + 1/M, to which the square of every distance is in proportion where nothing changed."""
    return float(1 / live.sum() + 1 / reference.sum())


def _chi_square_limit(bins: int) -> float:
    return chi_square_quantile(LEVEL, bins - 1)


def _pool_rare(live: Floats, reference: Floats) -> tuple[Floats, Floats]:
    """The bins in which enough answers are expected on both sides, and one more with all others, if they have any."""
    both = live + reference
    expected = both * min(live.sum(), reference.sum()) / both.sum()
    rare = expected < LEAST_EXPECTED
    live, reference = (np.append(counts[~rare], counts[rare].sum()) for counts in (live, reference))
    seen = live + reference > 0
    return live[seen], reference[seen]


def _relative_entropy(p: Floats, q: Floats) -> float:
    """Bits by which p differs from q; 0 log 0 is 0."""
    some = p > 0
    return float(p[some] @ np.log2(p[some] / q[some]))
