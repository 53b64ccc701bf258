"""Means and rates of the traffic, each with its 95 % interval, from counts, sums and sums of squares alone.

Such sums only grow and add up over workers, windows and replicas; a ratio is formed once, here, from the pooled sums.
The intervals are those of independent answers: traffic that comes in bursts of like images is less sure than they say.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

Z_95 = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value between the two ends of its 95 % interval, from n answers."""

    value: float
    low: float
    high: float
    standard_error: float
    n: int


@dataclass(frozen=True, slots=True)
class LabelSums:
    """What the prediction-powered estimate needs of the labelled answers, as sums that only grow.

    One label has weight w = 1 / sampling_probability, question-answer trust Q and, without the label, its estimate.
    """

    n: int
    weight: float
    weight_squares: float
    weighted_question_answer: float
    weighted_question_answer_estimate: float
    weight_squared_question_answer: float
    weight_squared_question_answer_estimate: float
    weight_squared_rectifier_squares: float
    """Sum of w^2 (Q - its estimate)^2."""

    @classmethod
    def of(cls, question_answer: ArrayLike, question_answer_estimate: ArrayLike, weight: ArrayLike = 1.0) -> Self:
        """The sums of n labelled answers; each argument (n,), or one weight for all."""
        realised, estimated = np.asarray(question_answer, float), np.asarray(question_answer_estimate, float)
        weights = np.broadcast_to(np.asarray(weight, float), realised.shape)
        squares = weights**2
        return cls(
            n=realised.size,
            weight=float(weights.sum()),
            weight_squares=float(squares.sum()),
            weighted_question_answer=float(weights @ realised),
            weighted_question_answer_estimate=float(weights @ estimated),
            weight_squared_question_answer=float(squares @ realised),
            weight_squared_question_answer_estimate=float(squares @ estimated),
            weight_squared_rectifier_squares=float(squares @ (realised - estimated) ** 2),
        )


def mean_estimate(
    count: int, total: float, squares: float, limits: tuple[float, float] = (0.0, 1.0)
) -> Estimate | None:
    """Mean of `count` values from their sum and sum of squares; None below 2, where there is no spread.

    Args:
        limits: between which the values lie; the interval is cut there.

    >>> found = mean_estimate(4, total=2.0, squares=1.04)    # .4 .6 .4 .6: variance .04 / 3
    >>> f"{found.value:.2f} +- {found.standard_error:.4f}, [{found.low:.3f}, {found.high:.3f}]"
    '0.50 +- 0.0577, [0.387, 0.613]'
    """
    if count < 2:
        return None
    return _normal(total / count, math.sqrt(_variance(count, total, squares) / count), count, limits)


def ratio_estimate(successes: float, n: float) -> Estimate | None:
    """Share of successes among n with Wilson's interval, which stays honest near 0 and 1; None without any.

    Wilson, "Probable Inference", JASA 1927. Both may be effective numbers, not whole ones.

    >>> found = ratio_estimate(0, 10)
    >>> found.value, found.low, round(found.high, 4)
    (0.0, 0.0, 0.2775)
    """
    if n < 1:
        return None
    share, z2 = successes / n, Z_95**2
    centre = (successes + z2 / 2) / (n + z2)
    half = Z_95 * math.sqrt(share * (1 - share) * n + z2 / 4) / (n + z2)
    error = math.sqrt(share * (1 - share) / n)
    return Estimate(share, max(0.0, centre - half), min(1.0, centre + half), error, round(n))


def prediction_powered(count: int, total: float, squares: float, labelled: LabelSums) -> Estimate | None:
    """NetTrustScore of all answers: the label-free mean, put right by what the labelled ones show it to be wrong by.

        value = mean(estimate of all) + sum w (Q - estimate) / sum w

    Weights by sampling probability (Hajek's ratio) keep it right where reviewers choose untrusted images more often.
    Angelopoulos et al., "Prediction-Powered Inference", Science 2023, arXiv:2301.09633. None below 2 answers or labels.

    Args:
        count, total, squares: of the label-free estimates of all answers, labelled or not.
        labelled: sums of those with a label.

    >>> labels = LabelSums.of([0.9, 0.2], [0.8, 0.6])    # the 1st and the 4th of .8 .7 .9 .6 .75 .85
    >>> found = prediction_powered(6, total=4.6, squares=3.585, labelled=labels)
    >>> round(found.value, 6), round(found.standard_error, 6)
    (0.616667, 0.253859)
    """
    if count < 2 or labelled.n < 2:
        return None
    rectifier = (labelled.weighted_question_answer - labelled.weighted_question_answer_estimate) / labelled.weight
    variance = _variance(count, total, squares) / count + _rectifier_variance(labelled, rectifier)
    return _normal(total / count + rectifier, math.sqrt(variance), count, (0.0, 1.0))


def _rectifier_variance(labelled: LabelSums, rectifier: float) -> float:
    """n / (n-1) * sum w^2 (D - d)^2 / (sum w)^2, the square written out so that it needs the sums alone."""
    difference = labelled.weight_squared_question_answer - labelled.weight_squared_question_answer_estimate
    spread = (
        labelled.weight_squared_rectifier_squares - 2 * rectifier * difference + rectifier**2 * labelled.weight_squares
    )
    return labelled.n / (labelled.n - 1) * max(0.0, spread) / labelled.weight**2


def _variance(count: int, total: float, squares: float) -> float:
    """Variance of the values with n - 1; rounding may leave a hair below 0 where all are equal."""
    return max(0.0, squares - total**2 / count) / (count - 1)


def _normal(value: float, standard_error: float, n: int, limits: tuple[float, float]) -> Estimate:
    half = Z_95 * standard_error
    cut, low, high = (min(max(end, limits[0]), limits[1]) for end in (value, value - half, value + half))
    return Estimate(cut, low, high, standard_error, n)
