"""From which trust on to trust: by a promised error rate, by coverage, by TPR, or by what wrong decisions cost.

The promise is kept by fixed-sequence testing over a grid of thresholds from strict to lax, each with the exact binomial
test (Clopper and Pearson, 1934; Angelopoulos et al., "Learn then Test", 2021, arXiv:2110.01052): the last threshold
before the first failure keeps it, however many were tried.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta

from trust.manifest import Threshold

GRID = np.round(np.arange(0.999, 0, -0.001), 3)
"""Thresholds from strict to lax, fixed before any answer is seen."""


def choose_threshold(
    trust: ArrayLike, correct: ArrayLike, risk: float, confidence: float, images: str = "clean ones"
) -> Threshold:
    """The laxest threshold that keeps the promise, or 1 - risk with the statement that none does.

    Args:
        trust: (N,) in [0, 1], of images that neither fitted nor calibrated what gives it.
        correct: (N,) bool.
        risk: target error rate among trusted answers, in (0, 1).
        confidence: probability, over draws of such images, that the error rate is below the target.
        images: what they are, for the statement.
    """
    trust, correct = np.asarray(trust, float), np.asarray(correct, bool)
    trusted, errors = _counts(trust, GRID), _counts(trust[~correct], GRID)
    # Below this many trusted images even a good threshold fails by chance and would end the sequence at its start.
    enough = 3 * math.ceil(math.log(1 - confidence) / math.log(1 - risk))
    sequence = np.flatnonzero(trusted >= enough)
    holds = error_upper_bounds(errors[sequence], trusted[sequence], confidence) <= risk
    passed = sequence[np.cumprod(holds, dtype=bool)]
    if not len(passed):
        return Threshold(value=1 - risk, statement=_infeasible(len(trust), enough, risk, confidence))
    chosen = float(GRID[passed[-1]])
    coverage = float((trust >= chosen).mean())
    statement = (
        f"Among answers with trust of at least {chosen:g} at most {risk:.1%} are wrong, with {confidence:.0%} "
        f"confidence, on images like the {len(trust)} {images} it was chosen on; {coverage:.1%} of those are trusted."
    )
    return Threshold(value=chosen, statement=statement, risk=risk, confidence=confidence, coverage=coverage)


def choose_thresholds_by_class(
    trust: ArrayLike,
    correct: ArrayLike,
    predicted: ArrayLike,
    classes: int,
    risk: float,
    confidence: float,
    images: str = "clean ones",
) -> Threshold:
    """The laxest threshold of each predicted class that keeps the promise for that class by itself.

    A class without such a threshold is never trusted: its threshold is 1.

    Args:
        trust, correct, predicted: (N,) each.
        classes: number of classes K.
        risk, confidence, images: as of `choose_threshold`.
    """
    trust, correct, predicted = np.asarray(trust, float), np.asarray(correct, bool), np.asarray(predicted, int)
    chosen = [
        choose_threshold(trust[of], correct[of], risk, confidence) for of in (predicted == np.arange(classes)[:, None])
    ]
    values = tuple(found.value if found.risk is not None else 1.0 for found in chosen)
    never = sum(found.risk is None for found in chosen)
    coverage = float((trust >= np.take(values, predicted)).mean())
    statement = (
        f"Among trusted answers of each class at most {risk:.1%} are wrong, with {confidence:.0%} confidence for each "
        f"class by itself, on images like the {len(trust)} {images} it was chosen on; {coverage:.1%} of those are "
        f"trusted, and none of {never} of the {classes} classes, whose images are too few or too often wrong."
    )
    return Threshold(
        value=min(values), statement=statement, risk=risk, confidence=confidence, coverage=coverage, by_class=values
    )


def threshold_at_coverage(trust: ArrayLike, coverage: float) -> Threshold:
    """The strictest threshold that trusts at least this share of the answers.

    >>> threshold_at_coverage([0.9, 0.8, 0.7, 0.1], 0.5).value
    0.8
    """
    trust = np.asarray(trust, float)
    value = float(np.sort(trust)[::-1][_needed(coverage, len(trust))])
    return _without_promise(trust, value, f"chosen to trust {coverage:.1%}")


def threshold_at_tpr(trust: ArrayLike, correct: ArrayLike, tpr: float) -> Threshold:
    """The strictest threshold that trusts at least this share of the correct answers.

    >>> threshold_at_tpr([0.9, 0.8, 0.7, 0.1], [True, False, True, False], 1.0).value
    0.7

    Raises:
        ValueError: no answer is correct.
    """
    trust, correct = np.asarray(trust, float), np.asarray(correct, bool)
    right = np.sort(trust[correct])[::-1]
    if not len(right):
        raise ValueError(f"none of the {len(trust)} answers is correct: no threshold has a true positive rate")
    value = float(right[_needed(tpr, len(right))])
    return _without_promise(trust, value, f"chosen to trust {tpr:.1%} of the correct ones")


def threshold_at_cost(trust: ArrayLike, correct: ArrayLike, wrong_trust: float, wrong_distrust: float) -> Threshold:
    """The threshold with the least cost on these answers; the strictest of equals.

    Trusting the first two costs nothing, the third would add an error of cost 5 to save one of cost 1:

    >>> threshold_at_cost([0.9, 0.8, 0.5, 0.4], [True, True, False, True], wrong_trust=5, wrong_distrust=1).value
    0.8

    Args:
        trust, correct: (N,) each.
        wrong_trust: cost of trusting a wrong answer.
        wrong_distrust: cost of distrusting a correct one.
    """
    trust, correct = np.asarray(trust, float), np.asarray(correct, bool)
    # 1 stands for trusting nothing, as far as calibrated trust never is 1.
    values = np.unique(np.append(trust, 1.0))[::-1]
    costs = wrong_trust * _counts(trust[~correct], values)
    costs = costs + wrong_distrust * (correct.sum() - _counts(trust[correct], values))
    best = int(np.argmin(costs))
    reason = f"chosen where a wrong trust costs {wrong_trust:g} and a wrong distrust {wrong_distrust:g}"
    return _without_promise(trust, float(values[best]), f"{reason}: {costs[best] / len(trust):.4f} an answer")


def error_upper_bound(errors: int, answers: int, confidence: float) -> float:
    """Exact one-sided upper bound of an error rate after so many errors (Clopper-Pearson).

    >>> round(error_upper_bound(5, 100, 0.95), 6)
    0.102253
    >>> round(error_upper_bound(0, 149, 0.95), 4)    # 1 - 0.05 ** (1 / 149): fewer than 149 cannot show 2 %
    0.0199
    """
    return float(error_upper_bounds(np.array([errors]), np.array([answers]), confidence)[0])


def error_upper_bounds(errors: NDArray[np.int64], answers: NDArray[np.int64], confidence: float) -> NDArray[np.float64]:
    """`error_upper_bound` of many counts at once, (N,)."""
    bounds = beta.ppf(confidence, errors + 1, np.maximum(answers - errors, 1))
    return np.where(errors >= answers, 1.0, bounds)


def _counts(trust: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many are at or above each value."""
    return len(trust) - np.searchsorted(np.sort(trust), values, side="left")


def _needed(share: float, answers: int) -> int:
    """Position, from the most trusted on, at which a share of the answers is reached."""
    # Without the small step .7 of 10 would be 8: .7 * 10 is 7.000000000000001.
    return max(math.ceil(share * answers - 1e-9), 1) - 1


def _without_promise(trust: NDArray[np.float64], value: float, reason: str) -> Threshold:
    coverage = float((trust >= value).mean())
    statement = (
        f"Answers with trust of at least {value:g} are trusted, {coverage:.1%} of the {len(trust)} reference images; "
        f"{reason}. No error rate is promised."
    )
    return Threshold(value=value, statement=statement, coverage=coverage)


def _infeasible(images: int, enough: int, risk: float, confidence: float) -> str:
    return (
        f"No threshold keeps at most {risk:.1%} wrong among trusted answers with {confidence:.0%} confidence on the "
        f"{images} images at hand (at least {enough} trusted ones are needed); {1 - risk:g} is used without a promise."
    )
