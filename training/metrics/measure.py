"""What a measure of a trust score is: one formula, called on one list of scores or on many resamples of it at once.

A measure is written as `def auroc(answers: Answers) -> Floats` under `@higher_is_better` or `@lower_is_better`. It is
called as `auroc(confidence, correct) -> float`, confidence (N,), correct (N,) of 0 and 1; `auroc.over(answers)` gives
one value for each row of the answers' weights, without sorting again.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Concatenate, Generic, ParamSpec, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.intp]
Options = ParamSpec("Options")


@dataclass(frozen=True)
class Answers:
    """Answers by falling confidence, under R weightings; each row of weights stands for one list of answers.

    A threshold accepts the answers at or above it. The thresholds that differ are: above all scores, then each of the G
    distinct scores, falling; so tied answers are accepted together, and their order does not matter.
    """

    confidence: Floats  # (N,), falling
    correct: Floats  # (N,), 1 right, 0 wrong
    order: Integers  # (N,), where each stood in the list as given; ties keep its order
    last_of_tie: Integers  # (G,)
    weights: Floats  # (R, N), whole numbers: how often the list holds each answer

    @cached_property
    def accepted(self) -> Floats:
        """Answers accepted at each threshold, (R, G + 1)."""
        return self._accumulate(self.weights)

    @cached_property
    def accepted_errors(self) -> Floats:
        """Wrong answers accepted at each threshold, (R, G + 1)."""
        return self._accumulate(self.weights * (1 - self.correct))

    @cached_property
    def accepted_correct(self) -> Floats:
        """Right answers accepted at each threshold, (R, G + 1)."""
        return self.accepted - self.accepted_errors

    @property
    def total(self) -> Floats:
        return self.accepted[:, -1]  # (R,)

    @property
    def errors(self) -> Floats:
        return self.accepted_errors[:, -1]  # (R,)

    def resample(self, counts: NDArray[np.integer]) -> "Answers":
        """The lists that hold each answer of the list as given as often as a row of counts (R, N) says."""
        return replace(self, weights=counts[:, self.order].astype(float))

    def mean(self, of_each: Floats) -> Floats:
        """Mean over each list, (R,), of a value of each answer, (N,) by falling confidence."""
        return self.weights @ of_each / self.total

    def _accumulate(self, of_each: Floats) -> Floats:
        sums = np.zeros((len(of_each), len(self.last_of_tie) + 1))
        sums[:, 1:] = np.cumsum(of_each, axis=1)[:, self.last_of_tie]
        return sums


class Measure(Generic[Options]):
    """A formula over `Answers` that is called with a score of each answer and whether it was right."""

    def __init__(self, formula: Callable[Concatenate[Answers, Options], Floats], higher_is_better: bool) -> None:
        functools.update_wrapper(self, formula)
        self.higher_is_better = higher_is_better
        self._formula = formula

    def __call__(
        self, confidence: ArrayLike, correct: ArrayLike, *args: Options.args, **options: Options.kwargs
    ) -> float:
        return float(self.over(sort_answers(confidence, correct), *args, **options)[0])

    def over(self, answers: Answers, *args: Options.args, **options: Options.kwargs) -> Floats:
        """One value for each row of weights, (R,)."""
        # 0 / 0 is NaN: what a list cannot say is undefined, not zero.
        with np.errstate(divide="ignore", invalid="ignore"):
            return self._formula(answers, *args, **options)

    def at(self, *args: Options.args, **options: Options.kwargs) -> "Measure[[]]":
        """The measure with its options fixed: `risk_at_coverage.at(coverage=0.8)`."""
        return Measure(lambda answers: self._formula(answers, *args, **options), self.higher_is_better)


def higher_is_better(formula: Callable[Concatenate[Answers, Options], Floats]) -> Measure[Options]:
    return Measure(formula, higher_is_better=True)


def lower_is_better(formula: Callable[Concatenate[Answers, Options], Floats]) -> Measure[Options]:
    return Measure(formula, higher_is_better=False)


def sort_answers(confidence: ArrayLike, correct: ArrayLike) -> Answers:
    """The answers, each counted once.

    Raises:
        ValueError: for lists that are empty or not of one length, for NaN, for a `correct` other than 0 and 1.
    """
    scores, verdicts = np.asarray(confidence, float), np.asarray(correct, float)
    if scores.shape != verdicts.shape or scores.ndim != 1 or not len(scores):
        raise ValueError(f"confidence {scores.shape} and correct {verdicts.shape} must be one non-empty list each")
    if missing := int(np.isnan(scores).sum()):
        raise ValueError(f"{missing} of {len(scores)} confidences are NaN; leave those answers out of both lists")
    if other := int(np.count_nonzero((verdicts != 0) & (verdicts != 1))):
        raise ValueError(f"{other} of {len(scores)} values of correct are neither 0 nor 1, but must be")
    order = np.argsort(-scores, kind="stable")
    scores = scores[order]
    last_of_tie = np.flatnonzero(np.append(scores[1:] != scores[:-1], True))
    return Answers(scores, verdicts[order], order, last_of_tie, weights=np.ones((1, len(scores))))
