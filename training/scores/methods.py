"""The methods of the table: what each is called, where it comes from, what it reads and what it costs.

A new method is one entry of `CLASSIFIER_METHODS` or `ORACLE_METHODS`; `training.scores.fitting` makes scores of them.
"""

from collections.abc import Callable
from functools import partial

from numpy.typing import ArrayLike

from training.answers import Answers, Outputs, Score
from training.scores.fitting import Method
from training.scores.mahalanobis import fit_mahalanobis
from training.scores.neighbours import fit_knn, fit_trust_score
from training.scores.posthoc import PNORM, SCORES, fit_p_norm
from training.scores.several import (
    flip_confidence,
    mean_probability,
    negative_mutual_information,
    negative_predictive_entropy,
)
from training.scores.sirc import (
    feature_norm,
    fit_negative_residual,
    fit_sirc,
    log_entropy,
    log_error,
)
from training.scores.vim import fit_vim
from trust.head import Floats, TrustHead, log_odds, trust_probability
from trust.posthoc import max_softmax

SOFTMAX = "softmax confidence"
TEMPERATURE_SCALED = "temperature-scaled softmax"
ORACLE_LOGIT = "oracle logit"
CLASS_HEAD = "class head alone"
TRUST = "trust probability"


def _of_logits(score: Callable[[Floats], Floats]) -> Score:
    return lambda outputs: score(outputs["logits"].astype(float))


def _mean_of(passes: str) -> Score:
    return lambda outputs: mean_probability(outputs[passes], outputs["logits"].argmax(1))


def _fit_p_norm(calibration: Answers) -> Score:
    return _of_logits(fit_p_norm(calibration.outputs["logits"], calibration.correct))


def _class_log_odds(outputs: Outputs) -> Floats:
    return log_odds(outputs["oracle_class_logits"], outputs["logits"].argmax(1))


_LOGITS = frozenset({"logits"})
_FEATURES = frozenset({"logits", "features"})
_DROPOUT = frozenset({"logits", "dropout_logits"})
_LOGIT_SOURCES = {
    "margin": "Scheffer et al., 2001",
    "negative entropy": "Shannon, 1948",
    "max logit": "1911.11132",
    "energy": "2010.03759",
    "Doctor (Gini)": "2106.02395",
}


def _plain(name: str, score: Callable[[Floats], Floats]) -> Method:
    return Method(name, _LOGIT_SOURCES[name], _LOGITS, "none", score=_of_logits(score))


def _referenced(name: str, source: str, fit: Callable[[Answers], Score]) -> Method:
    return Method(name, source, _FEATURES, "reference data", fit_on_reference=fit)


def _sirc(
    name: str, log_uncertainty: Callable[[ArrayLike], Floats], fit_familiarity: Callable[[Answers], Score]
) -> Method:
    def fit(reference: Answers) -> Score:
        return fit_sirc(log_uncertainty, fit_familiarity(reference), reference)

    return _referenced(f"SIRC ({name})", "2207.07506", fit)


CLASSIFIER_METHODS: tuple[Method, ...] = (
    Method(SOFTMAX, "1610.02136", _LOGITS, "none", score=_of_logits(max_softmax), is_probability=True),
    Method(
        TEMPERATURE_SCALED,
        "1706.04599",
        frozenset({"probabilities"}),
        "none",
        score=lambda outputs: outputs["probabilities"].max(1).astype(float),
        is_probability=True,
    ),
    *(_plain(name, score) for name, score in SCORES.items()),
    Method(PNORM, "2305.15508", _LOGITS, "none", fit_on_calibration=_fit_p_norm),
    _sirc("softmax, L1 norm", log_error, lambda _: feature_norm),
    _sirc("softmax, residual", log_error, fit_negative_residual),
    _sirc("entropy, L1 norm", log_entropy, lambda _: feature_norm),
    _sirc("entropy, residual", log_entropy, fit_negative_residual),
    Method(
        "flip test-time augmentation",
        "2006.16705",
        frozenset({"logits", "flipped_logits"}),
        "second pass",
        score=lambda outputs: flip_confidence(outputs["logits"], outputs["flipped_logits"]),
    ),
    Method("MC dropout", "1506.02142", _DROPOUT, "second pass", score=_mean_of("dropout_logits")),
    Method(
        "MC dropout (entropy)",
        "1506.02142",
        _DROPOUT,
        "second pass",
        score=lambda outputs: negative_predictive_entropy(outputs["dropout_logits"]),
    ),
    Method(
        "MC dropout (mutual information)",
        "1112.5745",
        _DROPOUT,
        "second pass",
        score=lambda outputs: negative_mutual_information(outputs["dropout_logits"]),
    ),
    Method(
        "ODIN", "1706.02690", frozenset({"odin"}), "second pass", score=lambda outputs: outputs["odin"].astype(float)
    ),
    Method(
        "deep ensemble",
        "1612.01474",
        frozenset({"logits", "ensemble_logits"}),
        "trained",
        score=_mean_of("ensemble_logits"),
    ),
    _referenced("Mahalanobis", "1807.03888", fit_mahalanobis),
    _referenced("ViM", "2203.10807", fit_vim),
    _referenced("kNN", "2204.06507", fit_knn),
    _referenced("Trust Score", "1805.11783", fit_trust_score),
)
"""Rows that the classifier earns without an oracle."""

ORACLE_METHODS: tuple[Method, ...] = (
    Method(
        ORACLE_LOGIT,
        "2110.00054",
        frozenset({"oracle_logit"}),
        "trained",
        score=lambda outputs: outputs["oracle_logit"].astype(float),
    ),
    Method(
        CLASS_HEAD, "training.oracle", frozenset({"logits", "oracle_class_logits"}), "trained", score=_class_log_odds
    ),
)
"""Rows of one oracle, beside `trust_method` of its head."""


def trust_method(head: TrustHead) -> Method:
    """The row of what a bundle serves: the trust probability of this head."""
    score = partial(trust_probability, head)
    return Method(TRUST, "trust.head", head.needs, "trained", score=score, is_probability=True)
