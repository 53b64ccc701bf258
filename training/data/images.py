"""Pixels as stored, (N, H, W, C) uint8, and images as networks take them, (N, C, H, W) in [0, 1]."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from trust.preprocess import Pixels


def to_images(pixels: Pixels, device: torch.device) -> Tensor:
    """(N, H, W, C) uint8 -> (N, C, H, W) float in [0, 1]."""
    return torch.from_numpy(np.array(pixels)).to(device).permute(0, 3, 1, 2).float() / 255


def to_pixels(images: Tensor) -> Pixels:
    """(N, C, H, W) float in [0, 1] -> (N, H, W, C) uint8."""
    return (images * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def flip_and_shift(images: Tensor) -> Tensor:
    """Half of the images mirrored, the batch moved by up to a fourteenth of its side; same shape."""
    mirrored = torch.rand(len(images), device=images.device) < 0.5
    images = torch.where(mirrored.view(-1, 1, 1, 1), images.flip(3), images)
    reach = images.shape[3] // 14
    down, right = torch.randint(0, 2 * reach + 1, (2,)).tolist()
    padded = F.pad(images, (reach,) * 4)
    return padded[:, :, down : down + images.shape[2], right : right + images.shape[3]]
