"""The post-hoc scores of `trust.posthoc`, each brought to a probability.

They live on different scales; `Platt` makes a probability of each without changing its ranking, so that thresholds and
calibration can be compared.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict

from training.metrics.ranking import auroc
from training.scores.platt import Platt, fit_platt
from trust.head import Floats
from trust.posthoc import doctor, energy, margin, max_logit, max_softmax, negative_entropy, p_norm_max_logit

Logits = NDArray[np.float32]
Bools = NDArray[np.bool_]

NORM_ORDERS = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)
PNORM = "p-norm max logit"


class PNorm(BaseModel):
    """p-norm max logit of the order that ranks best, or softmax confidence where no order ranks better than it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    order: float | None

    def __call__(self, logits: ArrayLike) -> Floats:
        """(N,) from logits (N, K)."""
        return max_softmax(logits) if self.order is None else p_norm_max_logit(logits, self.order)


class PostHoc(BaseModel):
    """What was fitted of the scores below on the calibration split."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    norm_order: float | None
    """Order of the p-norm; None where no order ranks better than softmax confidence, which then stands in."""
    platt: dict[str, Platt]

    def __call__(self, logits: Logits) -> dict[str, Floats]:
        """Each score as P(correct), (N,), by name."""
        return {name: self.platt[name](score) for name, score in _raw_scores(logits, self.norm_order).items()}


SCORES: dict[str, Callable[[ArrayLike], Floats]] = {
    "margin": margin,
    "negative entropy": negative_entropy,
    "max logit": max_logit,
    "energy": energy,
    "Doctor (Gini)": doctor,
}


def fit_posthoc(logits: Logits, correct: Bools) -> PostHoc:
    """Order of the p-norm and scale of every score, on images that did not fit the classifier.

    Args:
        logits: (N, K).
        correct: (N,), not all the same.
    """
    norm_order = fit_p_norm(logits, correct).order
    platt = {name: fit_platt(score, correct) for name, score in _raw_scores(logits, norm_order).items()}
    return PostHoc(norm_order=norm_order, platt=platt)


def fit_p_norm(logits: Logits, correct: Bools) -> PNorm:
    """The order that ranks images best which did not fit the classifier, logits (N, K), correct (N,)."""
    ranks = {order: auroc(p_norm_max_logit(logits, order), correct) for order in NORM_ORDERS}
    best = max(ranks, key=ranks.__getitem__)
    return PNorm(order=best if ranks[best] > auroc(max_softmax(logits), correct) else None)


def _raw_scores(logits: Logits, norm_order: float | None) -> dict[str, Floats]:
    return {name: score(logits) for name, score in SCORES.items()} | {PNORM: PNorm(order=norm_order)(logits)}
