"""The post-hoc scores of `trust.posthoc` by the names of the table, and the one among them that is fitted."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict

from training.metrics.ranking import auroc
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


SCORES: dict[str, Callable[[ArrayLike], Floats]] = {
    "margin": margin,
    "negative entropy": negative_entropy,
    "max logit": max_logit,
    "energy": energy,
    "Doctor (Gini)": doctor,
}


def fit_p_norm(logits: Logits, correct: Bools) -> PNorm:
    """The order that ranks images best which did not fit the classifier, logits (N, K), correct (N,)."""
    ranks = {order: auroc(p_norm_max_logit(logits, order), correct) for order in NORM_ORDERS}
    best = max(ranks, key=ranks.__getitem__)
    return PNorm(order=best if ranks[best] > auroc(max_softmax(logits), correct) else None)
