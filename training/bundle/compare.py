"""Trust against the classifier's confidence on a bundle's reference images, each measure with its 95 % interval."""

from typing import Any

from training.bootstrap import Comparison, Interval, bootstrap, bootstrap_paired
from training.bundle.reference import ReferenceAnswers
from training.metrics.calibration import brier_score, ece, nll
from training.metrics.measure import Measure
from training.metrics.ranking import aupr_error, aupr_success, auroc, fpr_at_95_tpr
from training.metrics.selective import augrc, aurc, coverage_at_risk, e_aurc, risk_at_coverage

MEASURES: dict[str, Measure[Any]] = {
    "AUROC": auroc,
    "FPR at 95 % TPR": fpr_at_95_tpr,
    "AUPR-Error": aupr_error,
    "AUPR-Success": aupr_success,
    "AURC": aurc,
    "E-AURC": e_aurc,
    "AUGRC": augrc,
    "risk at 80 % coverage": risk_at_coverage.at(coverage=0.8),
    "coverage at 2 % risk": coverage_at_risk.at(risk=0.02),
    "ECE": ece,
    "Brier score": brier_score,
    "negative log-likelihood": nll,
}


def compare_rows(answers: ReferenceAnswers, resamples: int, seed: int) -> list[list[str]]:
    """Header and one row a measure: confidence, trust, their difference and which is better.

    "Better" only where at most 2.5 % of the paired resamples say otherwise.
    """
    options = {"resamples": resamples, "seed": seed}
    confidence = bootstrap(MEASURES, answers.confidence, answers.correct, **options)
    trust = bootstrap(MEASURES, answers.trust, answers.correct, **options)
    paired = bootstrap_paired(MEASURES, answers.trust, answers.confidence, answers.correct, **options)
    rows = [["measure", "confidence", "trust", "difference", "better"]]
    for name in MEASURES:
        cells = [_cell(confidence[name]), _cell(trust[name]), _difference(paired[name]), _better(paired[name])]
        rows.append([name, *cells])
    return rows


def _cell(interval: Interval) -> str:
    return f"{interval.value:.4f} [{interval.low:.4f}, {interval.high:.4f}]"


def _difference(comparison: Comparison) -> str:
    return f"{comparison.difference:+.4f} [{comparison.low:+.4f}, {comparison.high:+.4f}]"


def _better(comparison: Comparison) -> str:
    if comparison.share_not_better <= 0.025:
        return "trust"
    # At the other end equal resamples count for neither: an interval that holds zero decides nothing.
    return "confidence" if comparison.share_not_better >= 0.975 and comparison.low * comparison.high > 0 else "-"
