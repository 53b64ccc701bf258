"""Quantiles of the chi-square distribution to 1e-9, without scipy, which the service does not install."""

import math
from functools import cache
from statistics import NormalDist

import numpy as np

NEWTON_STEPS = 50


@cache
def chi_square_quantile(probability: float, degrees: int) -> float:
    """What a chi-square variable stays below with this probability.

    Newton's method on the distribution function, from the approximation of Wilson and Hilferty (1931).

    Args:
        probability: in [0.5, 1); towards 0 the start would be no good.
        degrees: of freedom, at least 1.

    >>> round(chi_square_quantile(0.95, 1), 4), round(chi_square_quantile(0.99, 2), 4)    # 1.96^2; -2 ln .01
    (3.8415, 9.2103)
    """
    spread = 2 / (9 * degrees)
    x = degrees * (1 - spread + NormalDist().inv_cdf(probability) * math.sqrt(spread)) ** 3
    for _ in range(NEWTON_STEPS):
        step = (_below(x, degrees) - probability) / _density(x, degrees)
        x -= step
        if abs(step) < 1e-12 * x:
            break
    return x


def _density(x: float, degrees: int) -> float:
    half = degrees / 2
    return 0.5 * math.exp((half - 1) * math.log(x / 2) - x / 2 - math.lgamma(half))


def _below(x: float, degrees: int) -> float:
    """P(variable < x): the incomplete gamma function by its series, all of whose terms are positive."""
    half = degrees / 2
    # The terms rise up to index x/2 - half, then fall by at least half at every further x/2.
    terms = int(x / 2 + 60 + 10 * math.sqrt(x))
    series = 1 + np.cumprod(x / 2 / (half + np.arange(1, terms))).sum()
    return float(series * math.exp(half * math.log(x / 2) - x / 2 - math.lgamma(half + 1)))
