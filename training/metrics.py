"""How good a trust score is: `f(confidence, correct) -> float` each, confidence (N,), correct (N,) bool.

Correct answers are the positive class. Where only one class is present a ranking says nothing: the result is NaN.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def auroc(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Probability that a correct answer scores above a wrong one, ties one half.

    >>> auroc([0.9, 0.8, 0.3], [True, False, False])
    1.0
    """
    confidence, correct = _arrays(confidence, correct)
    return float(roc_auc_score(correct, confidence)) if _both(correct) else float("nan")


def fpr_at_95_tpr(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Share of wrong answers accepted where at least 95 % of the correct ones are."""
    confidence, correct = _arrays(confidence, correct)
    if not _both(correct):
        return float("nan")
    fpr, tpr, _ = roc_curve(correct, confidence, drop_intermediate=False)
    return float(fpr[np.searchsorted(tpr, 0.95)])


def aupr_success(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Average precision with correct answers as positives."""
    confidence, correct = _arrays(confidence, correct)
    return float(average_precision_score(correct, confidence)) if _both(correct) else float("nan")


def aupr_error(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Average precision with errors as positives, ranked by falling confidence.

    >>> aupr_error([0.9, 0.8, 0.3], [True, True, False])
    1.0
    """
    confidence, correct = _arrays(confidence, correct)
    return float(average_precision_score(~correct, -confidence)) if _both(correct) else float("nan")


def aurc(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Area under risk against coverage, as fd-shifts defines it (Jaeger et al., 2022, arXiv:2211.15259).

    Trapezoids between the coverages of distinct confidences, so that the order of ties does not matter; below the
    smallest coverage the risk is taken as constant.

    >>> round(aurc(np.linspace(0, 1, 100), [False, True] * 50), 12)
    0.482811125758
    >>> aurc(np.ones(100), [False, True] * 50)
    0.5
    """
    confidence, correct = _arrays(confidence, correct)
    order = np.argsort(-confidence, kind="stable")
    last_of_tie = np.flatnonzero(np.r_[np.diff(confidence[order]) != 0, True])
    answered = last_of_tie + 1
    risk = np.cumsum(~correct[order])[last_of_tie] / answered
    coverage = answered / len(correct)
    return float(np.trapezoid(np.r_[risk[0], risk], np.r_[0.0, coverage]))


def ece(probability: ArrayLike, correct: ArrayLike, bins: int = 15) -> float:
    """Expected calibration error: mean |accuracy - probability| over equal-width bins, weighted by their counts.

    Guo et al., 2017, arXiv:1706.04599.

    >>> round(ece([0.9, 0.9, 0.1, 0.1], [True, False, False, False]), 2)    # (|.5 - .9| + |0 - .1|) / 2
    0.25
    """
    probability, correct = _arrays(probability, correct)
    index = np.minimum((probability * bins).astype(int), bins - 1)
    gaps = np.bincount(index, probability - correct, minlength=bins)
    return float(np.abs(gaps).sum() / len(correct))


def tpr_tnr(confidence: ArrayLike, correct: ArrayLike, threshold: float) -> tuple[float, float]:
    """Share of the correct answers that are trusted, and of the wrong ones that are not.

    >>> tpr_tnr([0.9, 0.4, 0.6, 0.2], [True, True, False, False], threshold=0.5)
    (0.5, 0.5)
    """
    confidence, correct = _arrays(confidence, correct)
    if not _both(correct):
        return float("nan"), float("nan")
    trusted = confidence >= threshold
    return float(trusted[correct].mean()), float((~trusted[~correct]).mean())


def _arrays(confidence: ArrayLike, correct: ArrayLike) -> tuple[Floats, Bools]:
    scores, verdicts = np.asarray(confidence, float), np.asarray(correct, bool)
    if scores.shape != verdicts.shape or scores.ndim != 1 or not len(scores):
        raise ValueError(f"confidence {scores.shape} and correct {verdicts.shape} must be one non-empty list each")
    return scores, verdicts


def _both(correct: Bools) -> bool:
    return bool(correct.any() and not correct.all())
