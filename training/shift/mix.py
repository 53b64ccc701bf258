"""What the trust head is calibrated on beside clean images: corrupted copies of the calibration split."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from training.data.dataset import Split
from training.data.images import to_images, to_pixels
from training.seeds import draw_seed
from training.shift.corruptions import corrupt_in_chains
from trust.preprocess import Pixels


def twice_shuffled(split: Split, seed: int) -> Split:
    """Every image twice, shuffled: neighbours will share a chain of corruptions."""
    return split.take(np.random.default_rng(seed).permutation(np.tile(np.arange(len(split)), 2)))


def in_chains(split: Split, kinds: Sequence[str], seed: int) -> Iterator[Pixels]:
    """The split's images in order through random chains of these kinds, (n, H, W, C) uint8 a batch."""
    for number, pixels in enumerate(split.batches()):
        images = to_images(pixels, torch.device("cpu"))
        yield to_pixels(corrupt_in_chains(images, kinds, draw_seed(seed, number)))
