"""Where pixels are held: all decoded on disk, or nowhere, each image decoded when asked for.

224 x 224 RGB pixels are 150,528 bytes an image: 50,000 images are 7.5 GB, ImageNet's 1,281,167 are 193 GB. Either kind
of store keeps 32 bytes an image in addition (41 MB for ImageNet), its digest.
"""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from training.data.undecoded import Images
from trust.preprocess import Pixels, Preprocess

Digests = NDArray[np.uint8]
"""(M, 32): SHA-256 of each image's pixels."""


class Store(Protocol):
    """(M, H, W, C) uint8 pixels by row."""

    @property
    def digests(self) -> Digests:
        """Of every row."""

    def __getitem__(self, rows: NDArray[np.int64], /) -> Pixels: ...


@dataclass(frozen=True)
class DecodedStore:
    """Pixels decoded once: bounded by disk, not by memory."""

    pixels: Pixels
    """(M, H, W, C), memory-mapped."""
    digests: Digests

    def __getitem__(self, rows: NDArray[np.int64]) -> Pixels:
        return np.asarray(self.pixels[rows])


@dataclass(frozen=True)
class LazyStore:
    """Pixels decoded in threads when asked for and never held: for sets whose pixels would not fit."""

    images: Images
    spec: Preprocess
    digests: Digests

    def __getitem__(self, rows: NDArray[np.int64]) -> Pixels:
        channels, height, width = self.spec.input_size
        pixels = np.empty((len(rows), height, width, channels), np.uint8)

        def read(position: int) -> None:
            pixels[position] = self._read(int(rows[position]))

        with ThreadPoolExecutor() as pool:
            list(pool.map(read, range(len(rows))))
        return pixels

    def _read(self, row: int) -> Pixels:
        pixels = self.images.read(row, self.spec)
        # What was computed from the old pixels would be taken for this image's.
        if image_digests(pixels[None]).tobytes() != self.digests[row].tobytes():
            raise ValueError(f"{self.images.name(row)} has changed since it was first read; start again")
        return pixels


def image_digests(pixels: Pixels) -> Digests:
    """SHA-256 of each image of a batch, (n, H, W, C) -> (n, 32) uint8."""
    found = b"".join(hashlib.sha256(np.ascontiguousarray(image).data).digest() for image in pixels)
    return np.frombuffer(found, np.uint8).reshape(len(pixels), hashlib.sha256().digest_size)
