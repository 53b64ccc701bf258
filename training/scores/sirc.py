"""SIRC: softmax information retaining combination, of a confidence and of a sign of familiarity in the features.

Xia and Bouganis, 2022, arXiv:2207.07506: -(S1_max - S1) (1 + exp(-b (S2 - a))). Where S2 is as in training the order is
that of the confidence S1; where it falls below a, trust is taken away. Given here as -log of the cost, which has the
same order and does not underflow.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from training.answers import Answers, Outputs, Score
from training.scores.vim import fit_residual
from trust.head import Floats


@dataclass(frozen=True, eq=False)
class SIRC:
    """-log(S1_max - S1) - log(1 + exp(-b (S2 - a))), (N,).

    >>> sirc = SIRC(log_error, feature_norm, a=4.0, b=1.0)
    >>> outputs = {"logits": np.log([[0.75, 0.25]]), "features": np.array([[3.0, -1.0]])}
    >>> sirc(outputs).round(4).tolist()    # S1_max - S1 = 1/4, S2 = a: log 4 - log 2
    [0.6931]
    """

    log_uncertainty: Callable[[ArrayLike], Floats]
    """log(S1_max - S1) of logits."""
    familiarity: Score
    """S2, higher where familiar."""
    a: float
    b: float

    def __call__(self, outputs: Outputs) -> Floats:
        """(N,) from logits (N, K) and features (N, D)."""
        novelty = np.logaddexp(0, -self.b * (self.familiarity(outputs) - self.a))
        return np.asarray(-self.log_uncertainty(outputs["logits"]) - novelty)


def fit_sirc(log_uncertainty: Callable[[ArrayLike], Floats], familiarity: Score, reference: Answers) -> SIRC:
    """As published: a is three standard deviations below the mean of S2 in training, b one over the deviation."""
    values = familiarity(reference.outputs)
    spread = float(values.std()) or 1.0
    return SIRC(log_uncertainty, familiarity, a=float(values.mean()) - 3 * spread, b=1 / spread)


def feature_norm(outputs: Outputs) -> Floats:
    """L1 norm of the features, (N,): images that the classifier does not know excite it less.

    >>> feature_norm({"features": np.array([[3.0, -1.0]])}).tolist()
    [4.0]
    """
    return np.asarray(np.abs(outputs["features"]).sum(1, dtype=float))


def fit_negative_residual(reference: Answers) -> Score:
    """Familiarity by ViM's residual, negated."""
    residual = fit_residual(reference)
    return lambda outputs: -residual(outputs)


def log_error(logits: ArrayLike) -> Floats:
    """log(1 - largest softmax probability), (N,), to full precision however sure.

    >>> log_error([[100.0, 0.0]]).round(4).tolist()
    [-100.0]
    """
    odds = _log_odds_of_others(logits)[0]
    return np.asarray(odds - np.logaddexp(0, odds))


def log_entropy(logits: ArrayLike) -> Floats:
    """log of the entropy of the softmax, (N,), to full precision however sure.

    >>> log_entropy([[0.0, 0.0]]).round(4).tolist()    # log log 2
    [-0.3665]
    """
    odds, others = _log_odds_of_others(logits)
    total = np.logaddexp(0, odds)
    surprise = total[:, None] - others  # -log p of every other class
    return np.asarray(np.logaddexp(logsumexp(others + np.log(surprise), axis=1), np.log(total)) - total)


def _log_odds_of_others(logits: ArrayLike) -> tuple[Floats, Floats]:
    """log of p_i / p_max summed over all other classes, (N,), and of each, (N, K - 1)."""
    ascending = np.sort(np.asarray(logits, float), axis=1)
    others = ascending[:, :-1] - ascending[:, -1:]
    return np.asarray(logsumexp(others, axis=1)), others
