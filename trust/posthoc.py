"""Trust scores from the classifier's logits alone: what an oracle is measured against, and what serves without one.

Each takes logits (N, K) and gives (N,), higher reads "trust". They live on different scales: a calibration map makes
probabilities of them.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
PostHocScore = Literal["margin", "negative_entropy", "max_logit", "energy", "doctor"]


def softmax(logits: ArrayLike) -> Floats:
    """Probabilities, (N, K), without overflow."""
    return np.asarray(np.exp(log_softmax(logits)))


def log_softmax(logits: ArrayLike) -> Floats:
    """Logarithms of the probabilities, (N, K)."""
    return np.asarray(np.asarray(logits, float) - energy(logits)[:, None])


def max_softmax(logits: ArrayLike) -> Floats:
    """Largest softmax probability (Hendrycks and Gimpel, 2017, arXiv:1610.02136)."""
    return np.asarray(softmax(logits).max(1))


def margin(logits: ArrayLike) -> Floats:
    """Difference of the two largest softmax probabilities.

    >>> margin(np.log([[0.7, 0.2, 0.1]])).round(2).tolist()
    [0.5]
    """
    largest = np.partition(softmax(logits), -2, axis=1)
    return np.asarray(largest[:, -1] - largest[:, -2])


def negative_entropy(logits: ArrayLike) -> Floats:
    """Sum of p log p, 0 where sure.

    >>> negative_entropy(np.log([[0.5, 0.5]])).round(4).tolist()    # -log 2
    [-0.6931]
    """
    log_probabilities = log_softmax(logits)
    return np.asarray((np.exp(log_probabilities) * log_probabilities).sum(1))


def max_logit(logits: ArrayLike) -> Floats:
    """Largest logit (Hendrycks et al., 2022, arXiv:1911.11132)."""
    return np.asarray(np.asarray(logits, float).max(1))


def energy(logits: ArrayLike) -> Floats:
    """Negative free energy, log-sum-exp of the logits (Liu et al., 2020, arXiv:2010.03759).

    >>> energy(np.log([[2.0, 3.0]])).round(4).tolist()    # log 5
    [1.6094]
    """
    logits = np.asarray(logits, float)
    peak = logits.max(1)
    return np.asarray(peak + np.log(np.exp(logits - peak[:, None]).sum(1)))


def doctor(logits: ArrayLike) -> Floats:
    """Doctor's D_alpha, negated: (g - 1) / g with the Gini sum g of squared probabilities.

    Granese et al., 2021, arXiv:2106.02395.

    >>> doctor(np.log([[0.5, 0.5]])).round(4).tolist()    # g = 1/2: odds of a wrong answer drawn twice are 1
    [-1.0]
    """
    gini = (softmax(logits) ** 2).sum(1)
    return np.asarray((gini - 1) / gini)


def p_norm_max_logit(logits: ArrayLike, order: float) -> Floats:
    """Largest of the centred logits over their p-norm (Cattelan and Silva, 2024, arXiv:2305.15508).

    >>> p_norm_max_logit([[3.0, -1.0, -2.0]], 1.0).tolist()    # 3 / (3 + 1 + 2)
    [0.5]
    """
    logits = np.asarray(logits, float)
    centred = logits - logits.mean(1, keepdims=True)
    norms = np.maximum(np.linalg.norm(centred, ord=order, axis=1), 1e-12)
    return np.asarray(centred.max(1) / norms)


POSTHOC_SCORES: dict[PostHocScore, Callable[[ArrayLike], Floats]] = {
    "margin": margin,
    "negative_entropy": negative_entropy,
    "max_logit": max_logit,
    "energy": energy,
    "doctor": doctor,
}
"""Those without a parameter, by name; the maximum of the softmax is the trust head's `confidence_log_odds`."""
