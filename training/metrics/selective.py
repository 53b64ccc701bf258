"""What it costs and what it brings to trust the most confident answers only: risk against coverage.

A threshold accepts the answers at or above it. Coverage is the share of all answers that is accepted, risk the share of
wrong ones among them, generalised risk the share of all answers that is accepted and wrong. Tied answers are accepted
together. Defined for any list, also without right or without wrong answers, unless a measure says otherwise.
"""

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from training.metrics.measure import Answers, Floats, higher_is_better, lower_is_better

Convention: TypeAlias = Literal["fd-shifts", "crl"]


@lower_is_better
def aurc(answers: Answers, convention: Convention = "fd-shifts") -> Floats:
    """Area under risk against coverage; the error rate where all scores are equal.

    `fd-shifts` (Jaeger et al., 2022, arXiv:2211.15259): trapezoids between the coverages of distinct scores, so that
    the order of ties does not matter; below the smallest coverage the risk is taken as constant.
    `crl` (Moon et al., 2020, arXiv:2007.01458): mean of the risks at the coverages 1/N, 2/N .. 1, ties accepted one by
    one in the order given, which can move the value much.

    >>> aurc([0.9, 0.1], [True, False]), aurc([0.9, 0.1], [True, False], "crl")    # 1/2 (0 + 1/2) / 2, (0 + 1/2) / 2
    (0.125, 0.25)
    """
    if convention == "fd-shifts":
        return _area_by_trapezoids(answers)
    if convention == "crl":
        return _mean_risk(answers)
    raise ValueError(f"AURC convention is {convention!r}, must be 'fd-shifts' or 'crl'")


@lower_is_better
def e_aurc(answers: Answers, convention: Convention = "fd-shifts") -> Floats:
    """AURC above that of the ideal order, all right answers before all wrong ones (Geifman et al., 1805.08206).

    With error rate r the ideal is r + (1 - r) ln(1 - r), the limit of many answers. Both conventions' authors subtract
    this, not the area of the N answers in ideal order. So even an ideal order keeps a rest: with distinct scores of
    the order 1/N in `crl`, 1/N^2 in `fd-shifts`; with ties, in `fd-shifts`, it can fall clearly below zero, since
    trapezoids cut under the concave ideal curve.

    >>> round(e_aurc([0.9, 0.1], [True, False]), 4)    # 1/8 - (1/2 + 1/2 ln 1/2)
    -0.0284
    """
    risk = answers.errors / answers.total
    ideal = risk + (1 - risk) * np.log(np.where(risk < 1, 1 - risk, 1))
    return aurc.over(answers, convention) - ideal


@lower_is_better
def augrc(answers: Answers) -> Floats:
    """Area under generalised risk against coverage, trapezoids between distinct scores, in [0, 1/2].

    Traub et al., 2024, arXiv:2407.01032. Equals (1 - AUROC) a (1 - a) + (1 - a)^2 / 2 with accuracy a.

    >>> augrc([0.9, 0.1], [True, False])    # 1/2 (0 + 1/2) / 2
    0.125
    """
    step, errors = np.diff(answers.accepted), answers.accepted_errors
    return (step * (errors[:, 1:] + errors[:, :-1]) / 2).sum(1) / answers.total**2


@lower_is_better
def risk_at_coverage(answers: Answers, coverage: float) -> Floats:
    """Risk at the strictest threshold that accepts at least this share of the answers.

    >>> risk_at_coverage([0.9, 0.8, 0.3, 0.2], [True, False, True, False], coverage=0.5)
    0.5
    """
    if not 0 < coverage <= 1:
        raise ValueError(f"coverage is {coverage}, must be above 0 and at most 1")
    at = np.argmax(answers.accepted / answers.total[:, None] >= coverage, axis=1)[:, None]
    errors, accepted = (np.take_along_axis(of, at, axis=1)[:, 0] for of in (answers.accepted_errors, answers.accepted))
    return errors / accepted


@higher_is_better
def coverage_at_risk(answers: Answers, risk: float) -> Floats:
    """Largest coverage whose risk is at most this; 0 where no threshold keeps it.

    Stricter thresholds may have a higher risk. Measured on these very answers: a promise for others takes a margin.

    >>> coverage_at_risk([0.9, 0.8, 0.3, 0.2], [True, False, True, False], risk=0.4)    # 1/3 at 3/4
    0.75
    """
    if not 0 <= risk <= 1:
        raise ValueError(f"risk is {risk}, must be from 0 to 1")
    kept = answers.accepted_errors / answers.accepted <= risk
    return (answers.accepted * kept).max(1) / answers.total


@higher_is_better
def tpr(answers: Answers, threshold: float) -> Floats:
    """Share of the right answers at or above the threshold; NaN where none is right.

    >>> tpr([0.9, 0.4, 0.6, 0.2], [True, True, False, False], threshold=0.4)
    1.0
    """
    trusted = (answers.confidence >= threshold) * answers.correct
    return answers.weights @ trusted / (answers.total - answers.errors)


@higher_is_better
def tnr(answers: Answers, threshold: float) -> Floats:
    """Share of the wrong answers below the threshold; NaN where none is wrong.

    >>> tnr([0.9, 0.4, 0.6, 0.2], [True, True, False, False], threshold=0.4)
    0.5
    """
    distrusted = (answers.confidence < threshold) * (1 - answers.correct)
    return answers.weights @ distrusted / answers.errors


def tpr_tnr(confidence: ArrayLike, correct: ArrayLike, threshold: float) -> tuple[float, float]:
    """Share of the right answers that are trusted, and of the wrong ones that are not.

    >>> tpr_tnr([0.9, 0.4, 0.6, 0.2], [True, True, False, False], threshold=0.5)
    (0.5, 0.5)
    """
    return tpr(confidence, correct, threshold), tnr(confidence, correct, threshold)


def _area_by_trapezoids(answers: Answers) -> Floats:
    accepted, errors = answers.accepted, answers.accepted_errors
    some = accepted > 0
    risk = np.divide(errors, accepted, out=np.zeros_like(errors), where=some)
    before = np.where(some[:, :-1], risk[:, :-1], risk[:, 1:])
    return (np.diff(accepted) * (risk[:, 1:] + before) / 2).sum(1) / answers.total


def _mean_risk(answers: Answers) -> Floats:
    """Mean over every answer, one after the other, of the risk so far; an answer that counts w times is w in a row.

    A run of w after A answers with E errors adds the sum over j = 1 .. w of (E + j) / (A + j) if wrong, of E / (A + j)
    if right; with harmonic numbers H that is w + (E - A) (H(A + w) - H(A)), and E (H(A + w) - H(A)).
    """
    wrong = 1 - answers.correct
    errors, after = np.cumsum(answers.weights * wrong, axis=1), np.cumsum(answers.weights, axis=1)
    before = after - answers.weights
    errors -= answers.weights * wrong  # before the run
    harmonic = np.append(0.0, np.cumsum(1 / np.arange(1, after.max() + 1)))
    grown = harmonic[after.astype(int)] - harmonic[before.astype(int)]
    return (answers.weights * wrong + (errors - wrong * before) * grown).sum(1) / answers.total
