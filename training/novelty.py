"""Novelty: how far an image lies from clean data, in the classifier's features and in a few statistics of the input.

Each of two squared Mahalanobis distances (features to the nearest class mean, Lee et al., 2018, arXiv:1807.03888;
input statistics to their mean) is taken as a logarithm and standardised on clean images; novelty is their mean, about
0 on clean data. It becomes part of the classifier's graph, so that the service needs no matrices of its own.
"""

from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf
from torch import Tensor, nn

from training.classifier.network import Classifier
from training.data.dataset import Split
from training.predict import predict

_STATISTICS = 9
_TILES, _TILE_SIDE = 16, 4
"""Of a side longer than 64 pixels, so many parts of four are looked at: neighbours, which gradients need, at places all
over the image. Of 224 x 224 that is a twelfth of the pixels; all of them would cost more than the oracle's heads."""
_NEAREST, _FARTHEST = -1.0, 6.0
"""Novelty is clipped here: further out nothing is known."""


class Novelty(nn.Module):
    """Images (N, C, H, W) in [0, 1] and features (N, D) -> novelty (N,)."""

    whitening: Tensor
    means: Tensor
    input_whitening: Tensor
    input_mean: Tensor
    centre: Tensor
    spread: Tensor

    def __init__(self, **numbers: NDArray[np.float64]) -> None:
        super().__init__()
        for name in ("whitening", "means", "input_whitening", "input_mean", "centre", "spread"):
            self.register_buffer(name, torch.from_numpy(np.asarray(numbers[name], np.float32)))

    @classmethod
    def empty(cls, features: int, classes: int) -> Self:
        """Of the right shapes, to load a state into."""
        square, inputs = np.eye(features), np.eye(_STATISTICS)
        return cls(
            whitening=square,
            means=np.zeros((classes, features)),
            input_whitening=inputs,
            input_mean=np.zeros(_STATISTICS),
            centre=np.zeros(2),
            spread=np.ones(2),
        )

    def forward(self, images: Tensor, features: Tensor) -> Tensor:
        """Mean standardised log distance, clipped to [-1, 6]."""
        scaled = (self.log_distances(input_statistics(images), features) - self.centre) / self.spread
        return scaled.mean(1).clamp(_NEAREST, _FARTHEST)

    def log_distances(self, statistics: Tensor, features: Tensor) -> Tensor:
        """Logarithms of both squared distances, (N, 2), from input statistics (N, 9) and features (N, D)."""
        white = features @ self.whitening  # (N, D)
        # |a - b|^2 multiplied out: with many classes (N, K, D) would not fit.
        to_means = (white**2).sum(1, keepdim=True) - 2 * white @ self.means.T + (self.means**2).sum(1)
        of_input = (((statistics - self.input_mean) @ self.input_whitening) ** 2).sum(1, keepdim=True)
        return torch.cat([to_means.amin(1, keepdim=True), of_input], 1).clamp(min=1e-3).log()


def input_statistics(images: Tensor) -> Tensor:
    """Nine plain statistics of each image's grey values, (N, 9).

    Mean, standard deviation, mean absolute gradient in x and y, mean absolute Laplacian, share of nearly black and
    nearly white pixels, darkest and brightest pixel. Of large images a sample of the pixels is looked at.
    """
    grey = _grey_tiles(images)  # (N, R, H, C, W)
    down, right = grey[:, :, 1:] - grey[:, :, :-1], grey[..., 1:] - grey[..., :-1]
    laplacian = (down[:, :, 1:] - down[:, :, :-1])[..., 1:-1] + (right[..., 1:] - right[..., :-1])[:, :, 1:-1]
    flat = grey.flatten(1)
    mean = _mean(flat)
    centred = flat - mean
    return torch.cat(
        [
            mean,
            (_mean(centred * centred) + 1e-12).sqrt(),
            _mean(down.abs()),
            _mean(right.abs()),
            _mean(laplacian.abs()),
            _mean((flat < 0.02).float()),
            _mean((flat > 0.95).float()),
            flat.amin(1, keepdim=True),
            flat.amax(1, keepdim=True),
        ],
        1,
    )


def _grey_tiles(images: Tensor) -> Tensor:
    """Grey values of images (N, C, H, W) in tiles, (N, rows of tiles, rows, columns of tiles, columns)."""
    rows, columns = (_in_tiles(side) for side in images.shape[2:])
    if rows.numel() < images.shape[2]:
        images = images.index_select(2, rows.flatten().to(images.device))
    # In the exported graph the mean of one channel would be an operation, and a dear one.
    grey = images.mean(1) if images.shape[1] > 1 else images.squeeze(1)
    if columns.numel() < grey.shape[2]:
        grey = grey.index_select(2, columns.flatten().to(images.device))
    return grey.unflatten(2, tuple(columns.shape)).unflatten(1, tuple(rows.shape))


def _in_tiles(side: int) -> Tensor:
    """Indices along a side by tile, (tiles, indices): one tile of all, of a long side many, spread evenly."""
    if side <= _TILES * _TILE_SIDE:
        return torch.arange(side).unsqueeze(0)
    starts = torch.linspace(0, side - _TILE_SIDE, _TILES).round().long()
    return starts.unsqueeze(1) + torch.arange(_TILE_SIDE)


def fit_novelty(classifier: Classifier, split: Split, classes: int, device: torch.device) -> Novelty:
    """Novelty relative to clean images that the classifier was not fitted on.

    Args:
        classifier: in evaluation mode.
        split: clean images.
        classes: number of classes K.
        device: the classifier's.
    """

    def described(images: Tensor) -> dict[str, Tensor]:
        return {"features": classifier.features(images), "statistics": input_statistics(images)}

    outputs = predict(described, split.batches(), device)
    return fit_novelty_to(outputs["features"], outputs["statistics"], split.targets, classes).to(device)


def fit_novelty_to(
    features: NDArray[np.float32], statistics: NDArray[np.float32], targets: NDArray[np.int64], classes: int
) -> Novelty:
    """Novelty relative to these images: half of them give the means, half the scale.

    Args:
        features, statistics: (N, D) and (N, 9) of clean images.
        targets: (N,) their classes.
        classes: number of classes K.
    """
    half = len(targets) // 2
    first, of_input, classes_of = features[:half], statistics[:half], targets[:half]
    # A class without an image here gets the overall mean: no image is nearest to it that is not near the data at all.
    means = np.tile(first.mean(0), (classes, 1))
    for present in np.unique(classes_of):
        means[present] = first[classes_of == present].mean(0)
    whitening = shrunken_whitening(first - means[classes_of])
    numbers = {
        "whitening": whitening,
        "means": means @ whitening,
        "input_whitening": shrunken_whitening(of_input - of_input.mean(0)),
        "input_mean": of_input.mean(0),
    }
    plain = Novelty(**numbers, centre=np.zeros(2), spread=np.ones(2))
    clean = plain.log_distances(torch.from_numpy(statistics[half:]), torch.from_numpy(features[half:])).numpy()
    return Novelty(**numbers, centre=clean.mean(0), spread=clean.std(0))


def shrunken_whitening(centred: NDArray[np.floating], least_scale: float = 1e-6) -> NDArray[np.float64]:
    """W with W W^T the inverse of the shrunken covariance (Ledoit and Wolf), for rows of mean zero.

    Args:
        centred: (N, D).
        least_scale: added to the standard deviation of each column, so that one that never varies has a scale.
    """
    # Statistics differ in scale by orders of magnitude; shrinkage towards a sphere must not drown the small ones.
    scale = centred.std(0) + least_scale
    covariance, _ = ledoit_wolf(centred / scale, assume_centered=True)
    values, vectors = np.linalg.eigh(covariance)
    return (vectors / np.sqrt(values + 1e-6)) / scale[:, None]


def _mean(of_pixels: Tensor) -> Tensor:
    return of_pixels.flatten(1).mean(1, keepdim=True)
