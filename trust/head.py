"""Trust head: what both networks say becomes one calibrated probability that this very answer is correct.

With y the *classifier's* answer, the inputs are the classifier's log-odds of y, the oracle's log-odds of y, and
the oracle's logit z (steep slope); or a post-hoc score where no oracle serves. A novelty d (how far image and
features lie from clean data) moves the weight from one opinion to the other:

    q     = sigmoid(steepness * (d - midpoint))
    logit = (1 - q) * familiar . inputs + q * (novel . inputs + novel_bias) + bias
    trust = (1 - blend) * isotonic(logit) + blend * sigmoid(logit)

A bundle may have less (the classifier's confidence alone, or no novelty): same formula, fewer terms.
The isotonic map is flat in steps; the blend keeps the order of answers within a step.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from trust.posthoc import POSTHOC_SCORES, PostHocScore, energy, p_norm_max_logit

Floats = NDArray[np.float64]
TrustInput = (
    Literal["confidence_log_odds", "scaled_confidence_log_odds", "own_log_odds", "oracle_logit", "p_norm_max_logit"]
    | PostHocScore
)

LOG_ODDS_LIMIT = 12.0
"""Log-odds are clipped here: beyond, float32 logits say nothing more about P(correct)."""

_NEEDS: dict[TrustInput, tuple[str, ...]] = {
    "own_log_odds": ("logits", "oracle_class_logits"),
    "oracle_logit": ("oracle_logit",),
}
"""Outputs that an input reads; every other one reads the logits."""


class NoveltyGate(BaseModel):
    """Weights that hold where the image is novel, and how novelty decides between them and the familiar ones."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    midpoint: float = Field(description="novelty at which both sets of weights count the same")
    steepness: float = Field(gt=0)
    weights: tuple[float, ...] = Field(description="one for each input")
    bias: float


class Calibration(BaseModel):
    """Monotone map from fused logit to P(correct): piecewise linear between knots, flat outside."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    logits: tuple[float, ...] = Field(min_length=1, description="knots, ascending")
    trust: tuple[float, ...] = Field(min_length=1, description="values at the knots, ascending, in [0, 1]")
    blend: float = Field(0.0, ge=0, le=1, description="share of the plain sigmoid")

    @cached_property
    def knots(self) -> tuple[Floats, Floats]:
        """Logits and trust as arrays: there are hundreds, and each answer looks among them."""
        return np.array(self.logits), np.array(self.trust)

    @model_validator(mode="after")
    def _monotone(self) -> Self:
        if len(self.logits) != len(self.trust):
            raise ValueError(f"{len(self.logits)} knots but {len(self.trust)} values")
        if any(np.diff(self.logits) <= 0) or any(np.diff(self.trust) < 0):
            raise ValueError("calibration knots must ascend and their values must not fall")
        if self.trust[0] < 0 or self.trust[-1] > 1:
            raise ValueError(f"calibration values {self.trust[0]}..{self.trust[-1]} are outside [0, 1]")
        return self


class TrustHead(BaseModel):
    """The numbers of the formula above."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    inputs: tuple[TrustInput, ...] = Field(min_length=1)
    weights: tuple[float, ...] = Field(description="one for each input, where the image is familiar")
    bias: float
    gate: NoveltyGate | None = None
    calibration: Calibration | None = Field(None, description="absent: the plain sigmoid of the fused logit")
    temperature: float = Field(1.0, gt=0, description="of scaled_confidence_log_odds")
    norm_order: float | None = Field(None, ge=1, description="of p_norm_max_logit")

    @model_validator(mode="after")
    def _one_weight_an_input(self) -> Self:
        for weights in (self.weights, *([self.gate.weights] if self.gate else [])):
            if len(weights) != len(self.inputs):
                raise ValueError(f"{len(weights)} weights for {len(self.inputs)} inputs")
        if "p_norm_max_logit" in self.inputs and self.norm_order is None:
            raise ValueError("p_norm_max_logit needs a norm_order")
        return self

    @property
    def needs(self) -> frozenset[str]:
        """Names of the network outputs that this head reads."""
        names = {name for trust_input in self.inputs for name in _NEEDS.get(trust_input, ("logits",))}
        return frozenset(names | {"novelty"} if self.gate else names)


def trust_probability(head: TrustHead, outputs: Mapping[str, ArrayLike]) -> Floats:
    """P(the classifier's answer is correct), (N,) in [0, 1].

    Args:
        head: the bundle's numbers.
        outputs: network outputs by name, at least `head.needs`: logits (N, K), oracle_class_logits (N, K),
            oracle_logit (N,), novelty (N,).
    """
    return trust_of_inputs(head, trust_inputs(head, outputs), outputs.get("novelty"))


def trust_of_inputs(head: TrustHead, inputs: ArrayLike, novelty: ArrayLike | None = None) -> Floats:
    """The same from the head's inputs (N, len(head.inputs)) and, where the head has a gate, novelty (N,)."""
    return calibrated(head.calibration, logit_of_inputs(head, inputs, novelty))


def fused_logit(head: TrustHead, outputs: Mapping[str, ArrayLike]) -> Floats:
    """The formula's logit, (N,), before calibration."""
    return logit_of_inputs(head, trust_inputs(head, outputs), outputs.get("novelty"))


def logit_of_inputs(head: TrustHead, inputs: ArrayLike, novelty: ArrayLike | None = None) -> Floats:
    """`fused_logit` from what `trust_of_inputs` takes."""
    inputs = np.asarray(inputs, float)
    logit: Floats = inputs @ np.asarray(head.weights)
    if head.gate is not None:
        assert novelty is not None, "a head with a gate reads novelty"
        gate = novelty_gate(novelty, head.gate.midpoint, head.gate.steepness)
        logit = (1 - gate) * logit + gate * (inputs @ np.asarray(head.gate.weights) + head.gate.bias)
    return logit + head.bias


def trust_inputs(head: TrustHead, outputs: Mapping[str, ArrayLike]) -> Floats:
    """The head's inputs as columns, (N, len(head.inputs))."""
    return np.array([_input(name, head, outputs) for name in head.inputs], float).T.copy()


def _input(name: TrustInput, head: TrustHead, outputs: Mapping[str, ArrayLike]) -> ArrayLike:
    if name == "oracle_logit":
        return outputs["oracle_logit"]
    logits = np.asarray(outputs["logits"])
    if name == "own_log_odds":
        return log_odds(outputs["oracle_class_logits"], logits.argmax(1))
    if name == "confidence_log_odds":
        return log_odds(logits, logits.argmax(1))
    if name == "scaled_confidence_log_odds":
        return log_odds(logits.astype(float) / head.temperature, logits.argmax(1))
    if name == "p_norm_max_logit":
        assert head.norm_order is not None
        return p_norm_max_logit(logits, head.norm_order)
    return POSTHOC_SCORES[name](logits)


def calibrated(calibration: Calibration | None, logit: Floats) -> Floats:
    """P(correct), (N,), of fused logits; without a calibration their plain sigmoid."""
    if calibration is None:
        return sigmoid(logit)
    blend = calibration.blend
    return (1 - blend) * np.interp(logit, *calibration.knots) + blend * sigmoid(logit)


def novelty_gate(novelty: ArrayLike, midpoint: float, steepness: float) -> Floats:
    """q of the formula, (N,): 0 where the image is like clean data, 1 where it is far from it."""
    return sigmoid(steepness * (np.asarray(novelty, float) - midpoint))


def log_odds(logits: ArrayLike, class_index: ArrayLike) -> Floats:
    """log p - log(1 - p) of one class for each row, (N,), clipped to +-12.

    By log-sum-exp over the other classes: from float32 probabilities it would cancel near 1.

    >>> log_odds([[0.0, 0.0], [20.0, 0.0]], [0, 0]).tolist()    # one in two; surer than the clip
    [0.0, 12.0]
    >>> log_odds([[0.0, 0.0, 0.0]], [1]).round(4).tolist()      # one in three: log(1/2)
    [-0.6931]
    """
    rest: Floats = np.array(logits, float)
    chosen = (np.arange(len(rest)), np.asarray(class_index, int))
    own = rest[chosen]
    rest[chosen] = -np.inf
    return np.asarray((own - energy(rest)).clip(-LOG_ODDS_LIMIT, LOG_ODDS_LIMIT))


def decide(trust: ArrayLike, threshold: ArrayLike) -> NDArray[np.bool_]:
    """True where the answer is to be trusted: trust at or above the threshold, one for all or one for each."""
    return np.asarray(trust) >= np.asarray(threshold)


def sigmoid(logit: ArrayLike) -> Floats:
    """1 / (1 + exp(-logit)), without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * np.asarray(logit, float))))
