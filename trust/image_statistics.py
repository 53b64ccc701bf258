"""How strange an image is by a few cheap statistics of its pixels: one number, without any network.

The number is a Mahalanobis distance between the logarithms of an image's statistics and those of clean images. What
gives an image gone bad away is seldom one value but how values go together, such as edges too faint for so much
contrast; the largest standardised value, which is simpler, is blind to that. Logarithms, because exposure, contrast
and blur multiply. Mahalanobis, "On the generalised distance in statistics", 1936; to tell strange inputs Lee et al.,
2018, arXiv:1807.03888. How strange is too strange, its rank among the distances of reference images says.
"""

from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from trust.preprocess import Pixels

Floats = NDArray[np.float64]

SAMPLED_SIDE = 32
"""Most rows, and most columns, in which an image is looked at."""
DARK, BRIGHT = 5, 250
"""Grey levels up to which, and from which on, a value is nearly black or white."""
WITHOUT_CHANNELS = 8
"""Statistics beside the mean of each channel."""
_GREY_LEVEL = 1 / 255


class CleanStatistics(BaseModel):
    """Where the logarithms of clean images' statistics lie, and how they vary together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    centre: tuple[FiniteFloat, ...] = Field(description="their mean, (S,)")
    whitening: tuple[tuple[FiniteFloat, ...], ...] = Field(
        description="W, (S, S): W W^T is the inverse of their covariance"
    )

    @model_validator(mode="after")
    def _square(self) -> Self:
        if {len(self.whitening), *map(len, self.whitening)} != {len(self.centre)}:
            raise ValueError(f"whitening is not {len(self.centre)} x {len(self.centre)}, as the centre has it")
        return self

    @cached_property
    def arrays(self) -> tuple[Floats, Floats]:
        """Both for arithmetic; making them takes longer than an image's distance."""
        return np.asarray(self.centre), np.asarray(self.whitening)


def image_novelty(clean: CleanStatistics, pixels: Pixels) -> Floats:
    """How far images (N, H, W, C) lie from clean ones, |(log statistics - centre) W|: (N,), finite, at least 0.

    >>> white, black = (np.full((1, 4, 4, 1), grey, np.uint8) for grey in (255, 0))
    >>> centre, whitening = log_statistics(white)[0].tolist(), np.eye(9).tolist()
    >>> clean = CleanStatistics(centre=centre, whitening=whitening)
    >>> image_novelty(clean, white).tolist()
    [0.0]
    >>> image_novelty(clean, black).round(3).tolist()    # five of the nine are 0 for 1, or 1 for 0: sqrt(5) log 256
    [12.399]
    """
    centre, whitening = clean.arrays
    return np.asarray(np.linalg.norm((log_statistics(pixels) - centre) @ whitening, axis=1))


def log_statistics(pixels: Pixels) -> Floats:
    """log(statistic + 1/255) of each of `image_statistics`, (N, S): finite; less than a grey level hardly counts."""
    return np.log(image_statistics(pixels) + _GREY_LEVEL)


def image_statistics(pixels: Pixels) -> Floats:
    """Statistics of images (N, H, W, C), (N, 8 + C), of values in [0, 1].

    Contrast (standard deviation); sharpness, the mean absolute difference to the pixel below and to the one on the
    right; texture, that of both differences to the pixel across, 0 for edges along rows or columns; shares of nearly
    black and nearly white values; darkest and brightest value; mean of each channel.

    Of a side longer than SAMPLED_SIDE every k-th row (column) is looked at, with its direct neighbour, k the least that
    leaves no more. Last row and column are neighbours only.

    >>> checkers = np.indices((1, 4, 4, 1)).sum(axis=0).astype(np.uint8) % 2 * 255
    >>> image_statistics(checkers)[0, 1:4].tolist()    # every neighbour is the opposite; across lies the same again
    [1.0, 1.0, 2.0]
    """
    here, below, right, across = _with_neighbours(pixels)  # (N, C h w) each
    channels = _mean(here.reshape(len(here) * pixels.shape[3], -1)).reshape(len(here), -1)  # (N, C)
    steps_across = np.add(here, across, dtype=np.int16) - np.add(below, right, dtype=np.int16)
    columns = [
        np.sqrt(_mean(np.square(here - channels.mean(axis=1, keepdims=True)))),
        _mean(_distance(here, below)),
        _mean(_distance(here, right)),
        _mean(np.abs(steps_across, out=steps_across)),
        255 * _mean(here <= DARK),
        255 * _mean(here >= BRIGHT),
        here.min(axis=1),
        here.max(axis=1),
    ]
    return np.vstack([*columns, channels.T]).T.astype(float) * _GREY_LEVEL


def _distance(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """|one - other|, in bytes: passes over bytes take a fraction of those over wider numbers."""
    larger = np.maximum(one, other)
    return np.subtract(larger, np.minimum(one, other), out=larger)


def _mean(values: NDArray[Any]) -> NDArray[np.float32]:
    """Along the second axis, as a product, which takes half the time; of whole numbers with sums below 2^24 exact."""
    length = values.shape[1]
    mean: NDArray[np.float32] = values.astype(np.float32, copy=False) @ np.ones(length, np.float32) / np.float32(length)
    return mean


def _with_neighbours(pixels: Pixels) -> NDArray[np.uint8]:
    """The values looked at, those below, to the right and across of each, (4, N, C h w), channel by channel."""
    for axis in (1, 2):
        if pixels.shape[axis] == 1:
            # A single row has no neighbour but itself.
            pixels = pixels.repeat(2, axis=axis)
    down, along = (-(-(side - 1) // SAMPLED_SIDE) for side in pixels.shape[1:3])
    # Channels first: a row of one channel is copied many times faster than values of three in turn.
    planes = pixels.transpose(0, 3, 1, 2)
    upper, lower = planes[:, :, :-1:down], planes[:, :, 1::down]
    parts = upper[..., :-1:along], lower[..., :-1:along], upper[..., 1::along], lower[..., 1::along]
    values = np.empty((4, *parts[0].shape), np.uint8)
    for of_values, part in zip(values, parts, strict=True):
        of_values[...] = part
    return values.reshape(4, len(pixels), -1)
