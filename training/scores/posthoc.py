"""Trust scores from the classifier's logits alone, without training: what any oracle must be measured against.

Each takes logits (N, K) and gives (N,), higher reads "trust". They live on different scales; `Platt` brings each to a
probability without changing its ranking, so that thresholds and calibration can be compared.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.special import log_softmax, logsumexp, softmax
from sklearn.linear_model import LogisticRegression

from training.metrics.ranking import auroc
from trust.head import Floats, sigmoid

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


def max_softmax(logits: Logits) -> Floats:
    """Largest softmax probability (Hendrycks and Gimpel, 2017, arXiv:1610.02136)."""
    return np.asarray(softmax(logits.astype(float), axis=1).max(1))


def margin(logits: Logits) -> Floats:
    """Difference of the two largest softmax probabilities.

    >>> margin(np.log([[0.7, 0.2, 0.1]])).round(2).tolist()
    [0.5]
    """
    largest = np.sort(softmax(logits.astype(float), axis=1), axis=1)
    return np.asarray(largest[:, -1] - largest[:, -2])


def negative_entropy(logits: Logits) -> Floats:
    """Sum of p log p, 0 where sure.

    >>> negative_entropy(np.log([[0.5, 0.5]])).round(4).tolist()    # -log 2
    [-0.6931]
    """
    log_probabilities = log_softmax(logits.astype(float), axis=1)
    return np.asarray((np.exp(log_probabilities) * log_probabilities).sum(1))


def max_logit(logits: Logits) -> Floats:
    """Largest logit (Hendrycks et al., 2022, arXiv:1911.11132)."""
    return logits.max(1).astype(float)


def energy(logits: Logits) -> Floats:
    """Negative free energy, log-sum-exp of the logits (Liu et al., 2020, arXiv:2010.03759).

    >>> energy(np.log([[2.0, 3.0]])).round(4).tolist()    # log 5
    [1.6094]
    """
    return np.asarray(logsumexp(logits.astype(float), axis=1))


def doctor(logits: Logits) -> Floats:
    """Doctor's D_alpha, negated: (g - 1) / g with the Gini sum g of squared probabilities.

    Granese et al., 2021, arXiv:2106.02395.

    >>> doctor(np.log([[0.5, 0.5]])).round(4).tolist()    # g = 1/2: odds of a wrong answer drawn twice are 1
    [-1.0]
    """
    gini = (softmax(logits.astype(float), axis=1) ** 2).sum(1)
    return np.asarray((gini - 1) / gini)


def p_norm_max_logit(logits: Logits, order: float) -> Floats:
    """Largest of the centred logits over their p-norm (Cattelan and Silva, 2024, arXiv:2305.15508).

    >>> p_norm_max_logit(np.array([[3.0, -1.0, -2.0]]), 1.0).tolist()    # 3 / (3 + 1 + 2)
    [0.5]
    """
    centred = logits.astype(float) - logits.mean(1, keepdims=True, dtype=float)
    norms = np.maximum(np.linalg.norm(centred, ord=order, axis=1), 1e-12)
    return np.asarray(centred.max(1) / norms)


SCORES: dict[str, Callable[[Logits], Floats]] = {
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
