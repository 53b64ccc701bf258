"""Mahalanobis distance of the features to the nearest class mean (Lee et al., 2018, arXiv:1807.03888).

Of the last features alone: neither the ensemble over layers nor the perturbed input of the paper.
"""

from dataclasses import dataclass

import numpy as np

from training.answers import Answers, Outputs
from trust.head import Floats

_ROWS = 8192


@dataclass(frozen=True, eq=False)
class Mahalanobis:
    """max over classes of -(f - mean)^T C^-1 (f - mean), with one covariance C for all classes.

    >>> Mahalanobis(np.diag([1.0, 0.5]), np.array([[0.0, 0.0], [4.0, 0.0]]))({"features": np.array([[3.0, 2.0]])})
    array([-2.])
    """

    whitening: Floats
    """(D, R), W with W W^T = C^-1 on the R directions in which the features vary."""
    means: Floats
    """(K, R), of the classes, whitened."""

    def __call__(self, outputs: Outputs) -> Floats:
        """Negative squared distance, (N,), from features (N, D)."""
        white = outputs["features"].astype(float) @ self.whitening
        # Class by class: multiplied out the squares would cancel, and (N, K, R) need not fit.
        nearest = np.full(len(white), np.inf)
        for mean in self.means:
            np.minimum(nearest, ((white - mean) ** 2).sum(1), out=nearest)
        return -nearest


def fit_mahalanobis(reference: Answers) -> Mahalanobis:
    """Means and covariance of the features of images that fitted the classifier, by their targets."""
    features = reference.outputs["features"]
    classes, index = np.unique(reference.targets, return_inverse=True)
    means = np.stack([features[index == number].mean(0, dtype=float) for number in range(len(classes))])
    covariance = np.zeros((features.shape[1], features.shape[1]))
    for start in range(0, len(features), _ROWS):
        within = features[start : start + _ROWS] - means[index[start : start + _ROWS]]
        covariance += within.T @ within / len(features)
    values, vectors = np.linalg.eigh(covariance)
    # A feature that never fires has no variance to measure by; left out, as by the pseudo-inverse.
    varies = values > values[-1] * 1e-12
    whitening = vectors[:, varies] / np.sqrt(values[varies])
    return Mahalanobis(whitening, means @ whitening)
