"""Images and targets, split once: uint8 pixels from the same preprocessing that the service uses."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from training.data.skipped import Skipped
from training.data.stores import Store, image_digests
from trust.preprocess import Pixels, Preprocess

Targets = NDArray[np.int64]
Positions = NDArray[np.int64]

BATCH = 500
"""Images at a time where nothing is learned."""


@dataclass(frozen=True)
class Split:
    """Some rows of a store of images, and their targets."""

    store: Pixels | Store
    """(M, H, W, C) uint8 in memory, memory-mapped or decoded when asked for; perhaps shared with other splits."""
    rows: Positions
    """(N,) rows of the store."""
    targets: Targets
    """(N,) classes."""

    def __len__(self) -> int:
        return len(self.rows)

    def pixels(self, positions: Positions | slice) -> Pixels:
        """The images at these positions, (n, H, W, C) uint8."""
        return np.asarray(self.store[self.rows[positions]])

    def batches(self, size: int = BATCH) -> Iterator[Pixels]:
        """All images in order, `size` at a time."""
        for start in range(0, len(self), size):
            yield self.pixels(slice(start, start + size))

    def take(self, positions: Positions) -> "Split":
        """The images at these positions, in this order."""
        return Split(self.store, self.rows[positions], self.targets[positions])

    def __add__(self, other: "Split") -> "Split":
        """This split's images and then the other's; both of one store."""
        assert self.store is other.store
        rows, targets = (self.rows, other.rows), (self.targets, other.targets)
        return Split(self.store, np.concatenate(rows), np.concatenate(targets))

    def fingerprint(self) -> str:
        """SHA-256 over the SHA-256 of each image's pixels, in order; a decoded store knows them without reading."""
        digest = hashlib.sha256()
        if isinstance(self.store, np.ndarray):
            for pixels in self.batches():
                digest.update(image_digests(pixels).data)
        else:
            digest.update(np.ascontiguousarray(self.store.digests[self.rows]).data)
        return digest.hexdigest()


@dataclass(frozen=True)
class Dataset:
    """All splits of one data set, disjoint.

    train fits the classifier (empty where that was trained elsewhere); oracle is what the classifier never saw, so its
    errors there are honest; calibration fits the trust head; reference chooses the threshold and is what the monitor
    compares with; test is evaluation's.
    """

    name: str
    classes: tuple[str, ...]
    preprocess: Preprocess
    train: Split
    oracle: Split
    calibration: Split
    reference: Split
    test: Split
    skipped: Skipped = field(default_factory=Skipped)
    """Files that gave no image."""

    def fingerprint(self) -> str:
        """SHA-256 over fingerprint and targets of every split."""
        digest = hashlib.sha256()
        for split in (self.train, self.oracle, self.calibration, self.reference, self.test):
            digest.update(split.fingerprint().encode())
            digest.update(np.ascontiguousarray(split.targets).data)
        return digest.hexdigest()
