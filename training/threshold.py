"""A threshold with a promise: the error rate among trusted answers stays below a target with a stated probability.

Fixed-sequence testing over a grid of thresholds from strict to lax, each with the exact binomial test (Clopper and
Pearson, 1934; Angelopoulos et al., "Learn then Test", 2021, arXiv:2110.01052): the last threshold before the first
failure keeps the promise, however many were tried.
"""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import beta

from trust.manifest import Threshold

_STEP = 0.001


def choose_threshold(trust: ArrayLike, correct: ArrayLike, risk: float, confidence: float) -> Threshold:
    """The laxest threshold that keeps the promise, or 1 - risk with the statement that none does.

    Args:
        trust: (N,) in [0, 1], of images that neither fitted nor calibrated what gives it.
        correct: (N,) bool.
        risk: target error rate among trusted answers, in (0, 1).
        confidence: probability, over draws of such images, that the error rate is below the target.
    """
    trust, correct = np.asarray(trust, float), np.asarray(correct, bool)
    # Below this many trusted images even a good threshold fails by chance and would end the sequence at its start.
    enough = 3 * math.ceil(math.log(1 - confidence) / math.log(1 - risk))
    chosen = None
    for value in np.round(np.arange(1 - _STEP, 0, -_STEP), 3):
        trusted = trust >= value
        if trusted.sum() < enough:
            continue
        if error_upper_bound(int((~correct[trusted]).sum()), int(trusted.sum()), confidence) > risk:
            break
        chosen = float(value)
    if chosen is None:
        return Threshold(value=1 - risk, statement=_infeasible(len(trust), enough, risk, confidence))
    coverage = float((trust >= chosen).mean())
    statement = (
        f"Among answers with trust of at least {chosen:g} at most {risk:.1%} are wrong, with {confidence:.0%} "
        f"confidence, on images like the {len(trust)} clean ones it was chosen on; {coverage:.1%} of those are trusted."
    )
    return Threshold(value=chosen, statement=statement, risk=risk, confidence=confidence, coverage=coverage)


def error_upper_bound(errors: int, answers: int, confidence: float) -> float:
    """Exact one-sided upper bound of an error rate after so many errors (Clopper-Pearson).

    >>> round(error_upper_bound(5, 100, 0.95), 6)
    0.102253
    >>> round(error_upper_bound(0, 149, 0.95), 4)    # 1 - 0.05 ** (1 / 149): fewer than 149 cannot show 2 %
    0.0199
    """
    return 1.0 if errors >= answers else float(beta.ppf(confidence, errors + 1, answers - errors))


def _infeasible(images: int, enough: int, risk: float, confidence: float) -> str:
    return (
        f"No threshold keeps at most {risk:.1%} wrong among trusted answers with {confidence:.0%} confidence on the "
        f"{images} images at hand (at least {enough} trusted ones are needed); {1 - risk:g} is used without a promise."
    )
