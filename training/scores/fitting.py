"""Fits methods: each takes what it needs of the outputs and becomes P(correct) in its own order."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from training.answers import Answers, Outputs, Score
from training.scores.platt import Platt, fit_platt
from trust.head import Floats

Cost = Literal["none", "second pass", "reference data", "trained"]
"""What serving it takes beside the classifier's own pass: nothing, more passes, numbers kept of the images that fitted
the classifier, or a network of its own."""


@dataclass(frozen=True)
class Method:
    """One way to score answers; with exactly one of `score`, `fit_on_calibration` and `fit_on_reference`."""

    name: str
    source: str
    """Paper, as arXiv number where there is one."""
    needs: frozenset[str]
    """Named outputs that it reads."""
    cost: Cost
    score: Score | None = None
    """Needs no fitting."""
    fit_on_calibration: Callable[[Answers], Score] | None = None
    fit_on_reference: Callable[[Answers], Score] | None = None
    """Fitted on images that fitted the classifier."""
    is_probability: bool = False
    """Claims to be P(correct) itself, and is measured as such: not scaled."""


@dataclass(frozen=True, eq=False)
class FittedMethod:
    """A method ready to score."""

    method: Method
    score: Score
    platt: Platt | None

    def __call__(self, outputs: Outputs) -> Floats:
        """P(correct), (N,) in [0, 1], in the order of the score."""
        score = self.score(outputs)
        return score if self.platt is None else self.platt(score)


@dataclass(frozen=True, eq=False)
class Methods:
    """Fitted methods, in the order of the table."""

    fitted: tuple[FittedMethod, ...]

    def __call__(self, outputs: Outputs) -> dict[str, Floats]:
        """Each method's P(correct), (N,), by name; a method whose outputs are absent is left out."""
        return {fitted.method.name: fitted(outputs) for fitted in self.fitted if fitted.method.needs <= outputs.keys()}


def fit_methods(reference: Answers | None, calibration: Answers, methods: Sequence[Method]) -> Methods:
    """Every method whose outputs are there, fitted, each scaled to P(correct) on the calibration images.

    Args:
        reference: images that fitted the classifier or, where they are not at hand, others that calibration does not
            hold; None leaves out what is fitted on them.
        calibration: images that did not fit the classifier.
        methods: such as `CLASSIFIER_METHODS`, or `(*ORACLE_METHODS, trust_method(head))`.

    Raises:
        ValueError: all calibration answers are right, or all are wrong.
    """
    correct = calibration.correct
    if correct.all() or not correct.any():
        state = "right" if correct.all() else "wrong"
        raise ValueError(f"all {len(correct)} calibration answers are {state}: no score can be scaled; give more")
    fitted = []
    for method in methods:
        score = _fitted_score(method, reference, calibration)
        if score is not None:
            platt = None if method.is_probability else fit_platt(score(calibration.outputs), correct)
            fitted.append(FittedMethod(method, score, platt))
    return Methods(tuple(fitted))


def _fitted_score(method: Method, reference: Answers | None, calibration: Answers) -> Score | None:
    """The method's score; None where it cannot be had of these outputs."""
    if not method.needs <= calibration.outputs.keys():
        return None
    if method.fit_on_calibration is not None:
        return method.fit_on_calibration(calibration)
    if method.fit_on_reference is not None:
        if reference is None or not method.needs <= reference.outputs.keys():
            return None
        return method.fit_on_reference(reference)
    return method.score
