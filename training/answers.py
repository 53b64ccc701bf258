"""A classifier's answers to some images: what the networks say about them, and what is in them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trust.head import Floats

Outputs = Mapping[str, NDArray[np.float32]]
"""Outputs of networks by name, N rows each."""
Score = Callable[[Outputs], Floats]
"""(N,), higher reads "trust"."""
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Answers:
    """What the networks say about some images, and whether the classifier was right."""

    outputs: Outputs
    targets: NDArray[np.int64]  # (N,)

    @property
    def correct(self) -> Bools:
        return np.asarray(self.outputs["logits"].argmax(1) == self.targets)
