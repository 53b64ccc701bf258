"""Trust scores by nearest neighbours among the features of images that fitted the classifier.

Exact, by scikit-learn's blocked search: distances are summed in float64 block by block, so that the matrix of all
distances never exists.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import pairwise_distances_argmin_min
from sklearn.neighbors import NearestNeighbors

from training.answers import Answers, Outputs
from trust.head import Floats

Features = NDArray[np.float32]

NEIGHBOURS = 50
"""k of `KNN`: what Sun et al. chose on CIFAR-10."""

_NEAREST, _FARTHEST = 1e-12, 1e12
"""Distances end here: a twin is not infinitely near, and a class without images not infinitely far."""


@dataclass(frozen=True, eq=False)
class TrustScore:
    """log of (distance to the nearest class that was not answered / distance to the class that was).

    Jiang et al., 2018, arXiv:1805.11783, who give the ratio itself; the logarithm keeps its order. A class is as far as
    its nearest image.

    >>> score = TrustScore({0: np.array([[0.0]], np.float32), 1: np.array([[5.0]], np.float32)})
    >>> outputs = {"features": np.array([[1.0]], np.float32), "logits": np.array([[2.0, 0.0]], np.float32)}
    >>> np.exp(score(outputs)).round(4).tolist()    # 4 / 1
    [4.0]
    """

    by_class: dict[int, Features]
    """Reference features of each class, (n, D)."""

    def __call__(self, outputs: Outputs) -> Floats:
        """(N,) from features (N, D) and logits (N, K)."""
        features, logits = np.ascontiguousarray(outputs["features"]), outputs["logits"]
        distances = np.full(logits.shape, _FARTHEST)
        for name, members in self.by_class.items():
            distances[:, name] = pairwise_distances_argmin_min(features, members)[1]
        answered = np.arange(len(logits)), logits.argmax(1)
        own = distances[answered]
        distances[answered] = _FARTHEST
        return np.asarray(np.log(np.maximum(distances.min(1), _NEAREST)) - np.log(np.maximum(own, _NEAREST)))


@dataclass(frozen=True, eq=False)
class KNN:
    """Negative distance to the k-th nearest of the reference features, all of length 1.

    Sun et al., 2022, arXiv:2204.06507.

    >>> axes = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    >>> nearest = KNN(NearestNeighbors(n_neighbors=1, algorithm="brute").fit(axes))
    >>> nearest({"features": np.array([[3.0, 4.0]], np.float32)}).round(4).tolist()    # (.6, .8) to (0, 1): sqrt .4
    [-0.6325]
    """

    index: NearestNeighbors

    def __call__(self, outputs: Outputs) -> Floats:
        """(N,) from features (N, D)."""
        distances, _ = self.index.kneighbors(_unit_length(outputs["features"]))
        return -distances[:, -1].astype(float)


def fit_trust_score(reference: Answers, k: int = 10, alpha: float = 0.0) -> TrustScore:
    """Each class by its images, less those in sparse regions.

    Args:
        reference: images that fitted the classifier.
        k: a region is as sparse as its k-th nearest image of the class, itself counted, is far.
        alpha: share of each class's images, the sparsest, to leave out; 0 leaves none out, whatever k.

    Raises:
        ValueError: alpha outside [0, 1).
    """
    if not 0 <= alpha < 1:
        raise ValueError(f"alpha is {alpha}; it is the share of images to leave out, in [0, 1)")
    features, targets = np.ascontiguousarray(reference.outputs["features"]), reference.targets
    return TrustScore({int(name): _dense(features[targets == name], k, alpha) for name in np.unique(targets)})


def fit_knn(reference: Answers, k: int = NEIGHBOURS) -> KNN:
    """The reference features, of images that fitted the classifier; k is at most their number."""
    features = _unit_length(reference.outputs["features"])
    return KNN(NearestNeighbors(n_neighbors=min(k, len(features)), algorithm="brute").fit(features))


def _unit_length(features: Features) -> Features:
    return np.ascontiguousarray(features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-10))


def _dense(members: Features, k: int, alpha: float) -> Features:
    """Members (n, D) without the share `alpha` of them whose k-th neighbour is farthest."""
    if alpha == 0:
        return members
    nearest = NearestNeighbors(n_neighbors=min(k, len(members)), algorithm="brute").fit(members)
    radius = nearest.kneighbors(members)[0][:, -1]
    return members[np.sort(np.argsort(radius, kind="stable")[: len(members) - int(alpha * len(members))])]
