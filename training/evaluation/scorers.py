"""The rows of the table: every method fitted, each with the threshold that its own promise allows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from training.answers import Answers, Outputs
from training.data.dataset import Dataset
from training.evaluation.conditions import Condition
from training.scores.fitting import FittedMethod, fit_methods
from training.scores.methods import (
    CLASSIFIER_METHODS,
    ORACLE_LOGIT,
    ORACLE_METHODS,
    TRUST,
    trust_method,
)
from training.threshold import choose_threshold
from trust.head import Floats, TrustHead

Views = Mapping[str, Outputs]
"""What each oracle and the classifier beside it say about some images, by the oracle's name; the served one first."""
OutputsOf = Callable[[Condition], Views]

BEST_SCORE = "best post-hoc score"
"""Row of the trust head that serves where no oracle is promoted."""


@dataclass(frozen=True)
class OracleRows:
    """What one oracle contributes to the table."""

    head: TrustHead
    logit: str = ORACLE_LOGIT
    """What its logit's row is called; oracles that differ in their seed alone share it."""
    trust: str = TRUST
    """What its trust's row is called."""
    whole: bool = True
    """Its class head and its trust have rows too; else it is there for comparison with its logit alone."""


@dataclass(frozen=True)
class Scorer:
    """One method, scoring what one oracle or the classifier says."""

    row: str
    view: str
    method: FittedMethod
    threshold: float
    """From which score on an answer is trusted, chosen by the same promise for every method."""

    @property
    def is_trust(self) -> bool:
        """Whether it is a trust head, which could be served."""
        return self.method.method.name == TRUST

    def __call__(self, views: Views) -> Floats:
        """P(correct) of each answer, (N,)."""
        return self.method(views[self.view])


def fit_scorers(
    outputs_of: OutputsOf, oracles: Mapping[str, OracleRows], dataset: Dataset, risk: float, confidence: float
) -> list[Scorer]:
    """Every method whose outputs are there, fitted on the calibration split, its threshold on the reference split.

    Args:
        outputs_of: what the networks say about a split.
        oracles: by name, as in the views.
        dataset: methods that need images which fitted the classifier take the train split, or the oracle split of a
            data set without one.
        risk, confidence: what each threshold promises.

    Raises:
        ValueError: all calibration answers are right, or all are wrong.
    """
    fitting = dataset.train if len(dataset.train) else dataset.oracle
    fitted, calibration, reference = (
        outputs_of(Condition(of)) for of in (fitting, dataset.calibration, dataset.reference)
    )
    served = next(iter(calibration))
    found = fit_methods(
        Answers(fitted[served], fitting.targets),
        Answers(calibration[served], dataset.calibration.targets),
        CLASSIFIER_METHODS,
    )
    rows = [(method.method.name, served, method) for method in found.fitted]
    for oracle, named in oracles.items():
        methods = (*ORACLE_METHODS, trust_method(named.head)) if named.whole else ORACLE_METHODS[:1]
        own = fit_methods(None, Answers(calibration[oracle], dataset.calibration.targets), methods)
        rows += [(_row(method, named), oracle, method) for method in own.fitted]
    correct = Answers(reference[served], dataset.reference.targets).correct
    return [
        Scorer(row, view, method, choose_threshold(method(reference[view]), correct, risk, confidence).value)
        for row, view, method in rows
    ]


def _row(fitted: FittedMethod, named: OracleRows) -> str:
    return {ORACLE_LOGIT: named.logit, TRUST: named.trust}.get(fitted.method.name, fitted.method.name)
