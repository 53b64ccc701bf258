"""Copies of a split's images in random chains of corruptions: what heads are fitted and calibrated on."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from training.data.dataset import Split, Targets
from training.data.images import to_images, to_pixels
from training.seeds import draw_seed
from training.shift.corruptions import TRAINING_MIX, corrupt_in_chains
from trust.preprocess import Pixels


def chained_copies(
    split: Split, times: int, seed: int, kinds: Sequence[str] = TRAINING_MIX
) -> tuple[Iterator[Pixels], Targets]:
    """Batches of every image `times` over, each copy in a chain of these kinds, and their targets.

    Shuffled: neighbours share a chain.
    """
    order = np.random.default_rng(seed).permutation(np.tile(np.arange(len(split)), times))
    copies = split.take(order)

    def batches() -> Iterator[Pixels]:
        for number, pixels in enumerate(copies.batches()):
            images = to_images(pixels, torch.device("cpu"))
            yield to_pixels(corrupt_in_chains(images, kinds, draw_seed(seed, number)))

    return batches(), copies.targets
