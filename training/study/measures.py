"""What the study measures of an oracle's logit: the columns of Luo et al. (2021), and those that came after them."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from training.metrics.calibration import ece
from training.metrics.ranking import aupr_error, aupr_success, auroc, fpr_at_95_tpr
from training.metrics.selective import augrc, aurc, e_aurc, risk_at_coverage, tpr_tnr
from training.metrics.separability import separability
from training.study.table import Column
from trust.head import Floats

Bools = NDArray[np.bool_]

COVERAGES = (0.5, 0.8, 0.9, 0.95)

AUROC = Column("auroc", "AUROC")
ACCURACY = Column("accuracy", "ACC", digits=2)
RANKING = (
    Column("fpr_at_95_tpr", "FPR@95 TPR"),
    Column("aupr_error", "AUPR-Error"),
    Column("aupr_success", "AUPR-Success", digits=2),
    AUROC,
)
DECISIONS = (Column("tpr", "TPR"), Column("tnr", "TNR"))
AREAS = (
    Column("aurc", "AURC ‰", 1000, 2),
    Column("e_aurc", "E-AURC ‰", 1000, 2),
    Column("augrc", "AUGRC ‰", 1000, 2),
)
CALIBRATION = (Column("ece", "ECE as it is", 1, 3), Column("ece_scaled", "ECE scaled", 1, 3))
RISKS = tuple(Column(f"risk_at_{coverage}", f"risk % at {coverage:.0%}", digits=2) for coverage in COVERAGES)
SEPARABILITY = (Column("kl", "mean KL", 1, 2), Column("bhattacharyya", "Bhattacharyya", 1, 3))


def measure_logit(oracle_logit: Floats, scaled: Floats, correct: Bools) -> dict[str, float]:
    """Every measure of an oracle's logit; it trusts where the logit is 0 or more.

    Args:
        oracle_logit: (N,).
        scaled: (N,) the same as P(correct), scaled on other images.
        correct: (N,).
    """
    kl, bhattacharyya = separability(oracle_logit, correct)
    return {
        **_measure(oracle_logit, expit(oracle_logit), correct),
        "ece_scaled": ece(scaled, correct),
        "kl": kl,
        "bhattacharyya": bhattacharyya,
    }


def measure_confidence(confidence: Floats, scaled: Floats, correct: Bools) -> dict[str, float]:
    """The same of the classifier's own confidence, which trusts from one half on; it has no logit to be separable."""
    return {**_measure(confidence, confidence, correct), "ece_scaled": ece(scaled, correct)}


def _measure(score: Floats, probability: Floats, correct: Bools) -> dict[str, float]:
    tpr, tnr = tpr_tnr(probability, correct, 0.5)
    return {
        "accuracy": float(correct.mean()),
        "fpr_at_95_tpr": fpr_at_95_tpr(score, correct),
        "aupr_error": aupr_error(score, correct),
        "aupr_success": aupr_success(score, correct),
        "auroc": auroc(score, correct),
        "tpr": tpr,
        "tnr": tnr,
        "aurc": aurc(score, correct),
        "e_aurc": e_aurc(score, correct),
        "augrc": augrc(score, correct),
        "ece": ece(probability, correct),
        **{f"risk_at_{coverage}": risk_at_coverage(score, correct, coverage) for coverage in COVERAGES},
    }
