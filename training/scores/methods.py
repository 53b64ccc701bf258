"""The methods of the table: what each is, what it reads, what it costs; fitted, and each as P(correct).

A new method is one entry of `CLASSIFIER_METHODS` or `ORACLE_METHODS`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from numpy.typing import ArrayLike

from training.answers import Answers, Outputs
from training.scores.mahalanobis import fit_mahalanobis
from training.scores.neighbours import fit_knn, fit_trust_score
from training.scores.platt import Platt, fit_platt
from training.scores.posthoc import PNORM, SCORES, fit_p_norm
from training.scores.several import (
    flip_confidence,
    mean_probability,
    negative_mutual_information,
    negative_predictive_entropy,
)
from training.scores.sirc import (
    Score,
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


def trust_method(head: TrustHead) -> Method:
    """The row of what a bundle serves: the trust probability of this head."""
    score = partial(trust_probability, head)
    return Method(TRUST, "trust.head", head.needs, "trained", score=score, is_probability=True)


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
