"""The images that trust is measured on: those of a split, or copies of them under one kind of corruption."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from training.data.dataset import Split, Targets
from training.data.images import to_images, to_pixels
from training.outputs import CLEAN
from training.seeds import draw_seed
from training.shift.corruptions import corrupt
from trust.preprocess import Pixels

SEVERITIES = (3, 4, 5)

_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Condition:
    """Images of a split, and what was done to them."""

    split: Split
    kind: str = CLEAN
    """CLEAN, or a kind of corruption: a third of the images at each severity."""
    seed: int = 0
    """Of the corruption, and of the order of the corrupted images: the n-th image is the same under every kind."""

    @property
    def name(self) -> str:
        """What outputs of these images are kept under, beside the fingerprint of the split."""
        severities = f"{SEVERITIES[0]}-{SEVERITIES[-1]}"
        return CLEAN if self.kind == CLEAN else f"{self.kind} severities {severities} seed {self.seed}"

    @property
    def targets(self) -> Targets:
        """(N,), in the order of the batches."""
        return self.split.targets if self.kind == CLEAN else self.split.targets[self._order]

    def batches(self) -> Iterator[Pixels]:
        """All images, (n, H, W, C) uint8 each."""
        return self.split.batches() if self.kind == CLEAN else self._corrupted()

    def _corrupted(self) -> Iterator[Pixels]:
        thirds = dict(zip(SEVERITIES, np.array_split(self._order, len(SEVERITIES)), strict=True))
        for severity, part in thirds.items():
            for number, pixels in enumerate(self.split.take(part).batches()):
                drawn = draw_seed(self.seed, severity, number)
                yield to_pixels(corrupt(to_images(pixels, _CPU), self.kind, severity, drawn))

    @cached_property
    def _order(self) -> NDArray[np.int64]:
        # Shuffled, or chunks of one draw would follow the data's order.
        return np.random.default_rng(self.seed).permutation(len(self.split))
