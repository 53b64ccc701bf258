"""Images of which no class is right, made of a batch of training images: what an oracle is taught to distrust.

Outlier exposure (Hendrycks et al., 2019, arXiv:1812.04606) without another data set: four images overlaid, an image's
spectrum with random phases, a mosaic of pieces of many images, and random smooth surfaces.
"""

import math

import torch
from torch import Tensor

from training.shift.corruptions import seeded, to_grid
from training.shift.transforms import shuffled, smooth_field

CHUNK = 32
"""Images made in one way."""


def make_outliers(images: Tensor, seed: int) -> Tensor:
    """As many outliers as images, (N, C, H, W) in [0, 1] on the grid of 8-bit pixels; a seed fixes them."""
    with seeded(seed, images.device):
        ways = (_overlaid, _scrambled, _mosaic, _surface)
        return torch.cat([to_grid(ways[int(torch.randint(len(ways), ()))](part)) for part in images.split(CHUNK)])


def _overlaid(images: Tensor) -> Tensor:
    return (images + shuffled(images) + shuffled(images) + shuffled(images)) / 4


def _scrambled(images: Tensor) -> Tensor:
    spectrum = torch.fft.rfft2(images)
    phase = 2 * math.pi * torch.rand(spectrum.shape, device=images.device)
    scrambled = torch.fft.irfft2(torch.polar(spectrum.abs(), phase), s=images.shape[2:])
    low, high = scrambled.amin((2, 3), keepdim=True), scrambled.amax((2, 3), keepdim=True)
    return (scrambled - low) / (high - low + 1e-6)


def _mosaic(images: Tensor) -> Tensor:
    """Pieces of a quarter or a sixteenth of the area, each from a random place of a random image."""
    out, parts = images.clone(), 2 if torch.rand(()) < 0.5 else 4
    height, width = (length // parts for length in images.shape[2:])
    for place in range(parts**2):
        down, right = place // parts * height, place % parts * width
        from_down, from_right = (int(torch.randint(parts, ())) * length for length in (height, width))
        piece = shuffled(images)[:, :, from_down : from_down + height, from_right : from_right + width]
        out[:, :, down : down + height, right : right + width] = piece
    return out


def _surface(images: Tensor) -> Tensor:
    surface = smooth_field(images, int(torch.randint(2, 14, ()))).expand_as(images)
    return (surface > 0.5).float() if torch.rand(()) < 0.5 else surface
