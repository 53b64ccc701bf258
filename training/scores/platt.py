"""Platt scaling: a score of any scale becomes P(correct) in its own order (Platt, 1999)."""

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from trust.head import Floats


class Platt(BaseModel):
    """P(correct) = sigmoid(slope * score + intercept), slope positive."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    slope: float
    intercept: float

    def __call__(self, score: Floats) -> Floats:
        """Probabilities, (N,).

        >>> Platt(slope=2.0, intercept=-1.0)(np.array([0.5])).tolist()
        [0.5]
        """
        # Not by tanh: far from clean data scores end deep in the lower tail, where it would round all of them to 0.
        return np.asarray(expit(self.slope * score + self.intercept))


def fit_platt(score: Floats, correct: NDArray[np.bool_]) -> Platt:
    """The scale of a score.

    Args:
        score: (N,), finite.
        correct: (N,), not all the same.
    """
    # Fitted on standardised scores: the optimiser wants one scale.
    mean, spread = float(score.mean()), float(score.std()) or 1.0
    fitted = LogisticRegression(C=1e4).fit(((score - mean) / spread)[:, None], correct)
    # A score that ranks worse than chance keeps its direction: turned round it would be another score.
    slope = max(float(fitted.coef_[0, 0]), 1e-6) / spread
    return Platt(slope=slope, intercept=float(fitted.intercept_[0]) - slope * mean)
