"""Virtual-logit matching: how far the features leave the space that they filled in training (Wang et al., 2022).

arXiv:2203.10807. Features are taken relative to the point where all logits vanish; the residual is the length of
their part outside the principal space. Scaled to the size of a logit it becomes the logit of one more class, "none".
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.answers import Answers, Outputs
from trust.head import Floats
from trust.posthoc import energy

Array = NDArray[np.float32]

_ROWS = 8192


@dataclass(frozen=True, eq=False)
class Residual:
    """|R^T (f - origin)|: length of the features' part in the space spanned by R.

    >>> Residual(np.array([1.0, 0.0]), np.array([[0.0], [1.0]]))({"features": np.array([[5.0, -3.0]])})
    array([3.])
    """

    origin: Floats
    """(D,), where all logits are 0, as nearly as may be."""
    complement: Floats
    """(D, D - P), orthonormal, of the principal space of P dimensions."""

    def __call__(self, outputs: Outputs) -> Floats:
        """(N,) >= 0 from features (N, D); the smaller, the more familiar."""
        return np.asarray(np.linalg.norm((outputs["features"] - self.origin) @ self.complement, axis=1))


@dataclass(frozen=True, eq=False)
class ViM:
    """Energy of the logits less the virtual logit, (N,); orders answers as 1 - p(virtual class) does.

    >>> residual = Residual(np.zeros(2), np.array([[0.0], [1.0]]))
    >>> ViM(residual, 2.0)({"features": np.array([[5.0, 3.0]]), "logits": np.zeros((1, 1))})    # log 1 - 2 * 3
    array([-6.])
    """

    residual: Residual
    scale: float
    """Mean largest logit over mean residual, in training."""

    def __call__(self, outputs: Outputs) -> Floats:
        """(N,) from features (N, D) and logits (N, K)."""
        return energy(outputs["logits"]) - self.scale * self.residual(outputs)


def fit_vim(reference: Answers) -> ViM:
    """Principal space and scale, on images that fitted the classifier."""
    residual = fit_residual(reference)
    outside = float(residual(reference.outputs).mean())
    inside = float(np.abs(reference.outputs["features"]).mean())
    # Features that never leave the principal space leave rounding alone: no virtual logit can be had from that.
    scale = float(reference.outputs["logits"].max(1).mean()) / outside if outside > 1e-5 * inside else 0.0
    return ViM(residual, scale)


def fit_residual(reference: Answers, dimensions: int | None = None) -> Residual:
    """Origin and complement of the principal space, on images that fitted the classifier.

    The last layer is read off features and logits by least squares: exact where the layer is linear.

    Args:
        reference: with features (N, D) and logits (N, K).
        dimensions: of the principal space; as published 1000 for D >= 2048 and 512 for D >= 768, else half of D.
    """
    features, logits = reference.outputs["features"], reference.outputs["logits"]
    centre, logit_centre = features.mean(0, dtype=float), logits.mean(0, dtype=float)
    covariance, shared = _moments(features, logits, centre, logit_centre)
    weight = np.linalg.pinv(covariance, rcond=1e-10, hermitian=True) @ shared  # (D, K)
    origin = -np.linalg.pinv(weight.T) @ (logit_centre - centre @ weight)
    kept = dimensions if dimensions is not None else _principal_dimensions(len(origin))
    _, vectors = np.linalg.eigh(covariance + np.outer(centre - origin, centre - origin))  # ascending
    return Residual(origin, vectors[:, : len(origin) - kept])


def _moments(features: Array, logits: Array, centre: Floats, logit_centre: Floats) -> tuple[Floats, Floats]:
    """Covariance of the features, (D, D), and of features with logits, (D, K); no copy of either is made whole."""
    covariance, shared = np.zeros((len(centre), len(centre))), np.zeros((len(centre), len(logit_centre)))
    for start in range(0, len(features), _ROWS):
        rows = slice(start, start + _ROWS)
        moved = features[rows] - centre
        covariance += moved.T @ moved / len(features)
        shared += moved.T @ (logits[rows] - logit_centre) / len(features)
    return covariance, shared


def _principal_dimensions(features: int) -> int:
    return 1000 if features >= 2048 else 512 if features >= 768 else features // 2
