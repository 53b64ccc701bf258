"""The order of a fit's images: epochs, batches, and the shards of a batch that processes and micro-batches take."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.seeds import draw_seed

Index = NDArray[np.int64]


@dataclass(frozen=True)
class Shard:
    """The part of a batch that goes through the model at once."""

    positions: Index
    draw: int
    """Seeds what is drawn at random for it."""
    weight: float
    """Of its mean loss, such that the mean over all shards is the mean over the batch; 1 where all are of one size."""


@dataclass(frozen=True)
class Batches:
    """The batches of any epoch, which follow from the seed alone: a fit can go on anywhere."""

    positions: Index
    """One epoch's images."""
    size: int
    """Images a batch; the last may have fewer."""
    seed: int
    shards: int
    """Parts of a batch: processes times micro-batches."""

    def __len__(self) -> int:
        """Batches an epoch."""
        return -(-len(self.positions) // self.size)

    def epoch(self, epoch: int, first: int = 0) -> Iterator[list[Shard]]:
        """The epoch's batches from the first wanted on, each in shards."""
        order = np.random.default_rng((self.seed, epoch)).permutation(self.positions)
        for step in range(first, len(self)):
            yield shards_of(order[step * self.size : (step + 1) * self.size], self.shards, self.seed, epoch, step)


def shards_of(batch: Index, count: int, *numbers: int) -> list[Shard]:
    """A batch in `count` shards, as even as can be; who takes them, and when, makes no difference to what they are.

    So one process with two micro-batches a step does what two processes with one do. Batch normalisation alone tells
    shards from a batch: each shard is normalised by its own mean and variance, as in every data-parallel training, and
    of several processes' running statistics the main one's are kept.

    >>> [(shard.positions.tolist(), round(shard.weight, 4)) for shard in shards_of(np.arange(3), 2, 0, 0, 0)]
    [([0, 1], 1.3333), ([2], 0.6667)]

    Args:
        batch: positions; at least one.
        count: processes times micro-batches.
        numbers: seed, epoch and step.
    """
    return [
        # Every process takes part in every step: in a last batch of fewer images than shards, with one of weight 0.
        Shard(part if len(part) else batch[:1], draw_seed(*numbers, number), len(part) * count / len(batch))
        for number, part in enumerate(np.array_split(batch, count))
    ]
