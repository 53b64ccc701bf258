"""Every method by every measure with 95 % intervals, and which values of a column are as good as its best.

All methods are measured on the same resamples, each once; so any two can be compared pair by pair.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from training.bootstrap import Interval, bootstrap_values, percentile_ends
from training.metrics.calibration import brier_score, ece, nll
from training.metrics.measure import Measure
from training.metrics.ranking import aupr_error, aupr_success, auroc, fpr_at_95_tpr
from training.metrics.selective import augrc, aurc, coverage_at_risk, e_aurc, risk_at_coverage, tnr, tpr
from training.metrics.separability import bhattacharyya_distance, kl_divergence

Floats = NDArray[np.float64]

UNDEFINED = Interval(float("nan"), float("nan"), float("nan"), left_out=0)


@dataclass(frozen=True)
class Column:
    """One measure as the table shows it."""

    title: str
    unit: str
    """per cent, per mille, or nothing."""
    digits: int
    measure: Measure[Any]
    explanation: str

    @property
    def factor(self) -> int:
        """From the measure's value to the unit shown."""
        return {"%": 100, "‰": 1000, "": 1}[self.unit]


RANKING = {
    "auroc": Column("AUROC", "%", 1, auroc, "probability that a right answer scores above a wrong one, ties one half"),
    "fpr_at_95_tpr": Column(
        "FPR@95", "%", 1, fpr_at_95_tpr, "share of wrong answers still accepted where 95 % of the right ones are"
    ),
    "aupr_error": Column("AUPR-Error", "%", 1, aupr_error, "average precision of finding the wrong answers"),
    "aupr_success": Column("AUPR-Success", "%", 2, aupr_success, "average precision of finding the right answers"),
}
SELECTIVE = {
    "aurc": Column("AURC", "‰", 2, aurc, "area under risk against coverage"),
    "e_aurc": Column("E-AURC", "‰", 2, e_aurc, "AURC above that of the ideal order"),
    "augrc": Column("AUGRC", "‰", 2, augrc, "area under generalised risk against coverage"),
    "risk_at_80_coverage": Column(
        "Risk at 80 % coverage", "%", 2, risk_at_coverage.at(coverage=0.8), "error rate among the best-scored 80 %"
    ),
    "coverage_at_2_risk": Column(
        "Coverage at 2 % risk", "%", 1, coverage_at_risk.at(risk=0.02), "largest share accepted with at most 2 % wrong"
    ),
}
PROBABILITY = {
    "ece": Column("ECE", "", 4, ece, "mean distance of probability and accuracy over 15 bins"),
    "brier_score": Column("Brier score", "", 4, brier_score, "mean squared error of the probability"),
    "nll": Column("NLL", "", 4, nll, "mean negative log-likelihood in nats"),
}
SEPARABILITY = {
    "mean_kl": Column(
        "Mean KL",
        "",
        2,
        kl_divergence,
        "divergence in nats of normal distributions fitted to right and wrong answers",
    ),
    "bhattacharyya": Column(
        "Bhattacharyya", "", 3, bhattacharyya_distance, "distance of the same two; both depend on the score's scale"
    ),
}
DECISION = {
    "tpr": Column("TPR", "%", 1, tpr, "share of the right answers that are trusted"),
    "tnr": Column("TNR", "%", 1, tnr, "share of the wrong answers that are not trusted"),
}
COLUMNS: dict[str, Column] = {**RANKING, **SELECTIVE, **PROBABILITY, **SEPARABILITY, **DECISION}
_UNRANKED = DECISION.keys() | SEPARABILITY.keys()
"""A threshold trades one of these for the other, a change of scale raises others: none is best."""


@dataclass(frozen=True)
class Score:
    """What is measured of one method; `training.report.content.Method` says what the fields mean."""

    values: ArrayLike
    threshold: float | None
    probability: bool


@dataclass(frozen=True)
class MeasureTable:
    """Methods by measures."""

    intervals: Mapping[str, Mapping[str, Interval]]
    """By method, then by measure; a measure that a method lacks is NaN."""
    leaders: Mapping[str, frozenset[str]]
    """By measure, the methods to show in bold: the best and all that are not significantly worse; none where that
    would be all of them."""
    resamples: int


def measure_table(
    scores: Mapping[str, Score], correct: ArrayLike, resamples: int = 1000, seed: int = 0
) -> MeasureTable:
    """Measures every score of the same answers; about 1.5 s a score for 10,000 answers and 1,000 resamples.

    Args:
        scores: by name of the method.
        correct: (N,) whether each answer was right.
        resamples: of the bootstrap; of 2 they are not worth the name, of 200 for a look, 1,000 for a figure to quote.
        seed: of the resamples.
    """
    intervals: dict[str, dict[str, Interval]] = {}
    resampled: dict[str, dict[str, Floats]] = {}
    for name, score in scores.items():
        measures = _measures(score)
        resampled[name] = bootstrap_values(measures, score.values, correct, resamples, seed)
        intervals[name] = dict.fromkeys(COLUMNS, UNDEFINED) | {
            key: Interval(measure(score.values, correct), *percentile_ends(resampled[name][key]))
            for key, measure in measures.items()
        }
    leaders = {
        key: frozenset() if key in _UNRANKED else _leaders(key, column.measure.higher_is_better, intervals, resampled)
        for key, column in COLUMNS.items()
    }
    return MeasureTable(intervals, leaders, resamples)


def _measures(score: Score) -> dict[str, Measure[Any]]:
    columns = {**RANKING, **SELECTIVE, **SEPARABILITY, **(PROBABILITY if score.probability else {})}
    measures: dict[str, Measure[Any]] = {key: column.measure for key, column in columns.items()}
    if score.threshold is not None:
        measures |= {"tpr": tpr.at(threshold=score.threshold), "tnr": tnr.at(threshold=score.threshold)}
    return measures


def _leaders(
    key: str,
    higher_is_better: bool,
    intervals: Mapping[str, Mapping[str, Interval]],
    resampled: Mapping[str, Mapping[str, Floats]],
) -> frozenset[str]:
    sign = 1 if higher_is_better else -1
    values = {name: sign * row[key].value for name, row in intervals.items() if np.isfinite(row[key].value)}
    if not values:
        return frozenset()
    best = max(values, key=values.__getitem__)

    def significantly_worse(name: str) -> bool:
        low, _, _ = percentile_ends(sign * (resampled[best][key] - resampled[name][key]))
        return low > 0

    leaders = frozenset(name for name in values if not significantly_worse(name))
    return leaders if len(leaders) < len(values) else frozenset()
