"""The post-hoc scores of `trust.posthoc`, each brought to a probability.

They live on different scales; `Platt` makes a probability of each without changing its ranking, so that thresholds and
calibration can be compared.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict
from sklearn.linear_model import LogisticRegression

from training.metrics.ranking import auroc
from trust.head import Floats, sigmoid
from trust.posthoc import doctor, energy, margin, max_logit, max_softmax, negative_entropy, p_norm_max_logit

Logits = NDArray[np.float32]
Bools = NDArray[np.bool_]

NORM_ORDERS = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)
PNORM = "p-norm max logit"


class Platt(BaseModel):
    """P(correct) = sigmoid(slope * score + intercept), slope positive (Platt, 1999)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    slope: float
    intercept: float

    def __call__(self, score: Floats) -> Floats:
        """Probabilities, (N,)."""
        return sigmoid(self.slope * score + self.intercept)


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
    ranks = {order: auroc(p_norm_max_logit(logits, order), correct) for order in NORM_ORDERS}
    best = max(ranks, key=ranks.__getitem__)
    norm_order = best if ranks[best] > auroc(max_softmax(logits), correct) else None
    platt = {name: _fit_platt(score, correct) for name, score in _raw_scores(logits, norm_order).items()}
    return PostHoc(norm_order=norm_order, platt=platt)


def _raw_scores(logits: Logits, norm_order: float | None) -> dict[str, Floats]:
    pnorm = max_softmax(logits) if norm_order is None else p_norm_max_logit(logits, norm_order)
    return {name: score(logits) for name, score in SCORES.items()} | {PNORM: pnorm}


def _fit_platt(score: Floats, correct: Bools) -> Platt:
    # Fitted on standardised scores: the optimiser wants one scale.
    mean, spread = score.mean(), score.std() + 1e-12
    fitted = LogisticRegression(C=1e4).fit(((score - mean) / spread)[:, None], correct)
    # A score that ranks worse than chance keeps its direction: turned round it would be another score.
    slope = max(float(fitted.coef_[0, 0]), 1e-6) / spread
    return Platt(slope=slope, intercept=float(fitted.intercept_[0]) - slope * mean)
