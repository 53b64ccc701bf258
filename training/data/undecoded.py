"""Images as a source has them, before preprocessing: files of any size, or an array of small pictures."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trust.preprocess import FORMATS, Pixels, Preprocess, fit_to_input, preprocess

SUFFIXES = frozenset(suffix for suffix, kind in Image.registered_extensions().items() if kind in FORMATS)
"""Suffixes of the formats that are read; a file without one is tried."""

_MAX_PIXELS = 200_000_000
_MODES: dict[int, Literal["L", "RGB"]] = {1: "L", 3: "RGB"}


class Images(Protocol):
    """N images and their classes, not decoded."""

    @property
    def targets(self) -> NDArray[np.int64]:
        """(N,) classes."""

    @property
    def others(self) -> tuple[tuple[str, str], ...]:
        """Files found among the images and not taken: path and reason."""

    def key(self) -> str:
        """Changes when any image does."""

    def name(self, position: int) -> str:
        """What a message calls this image."""

    def read(self, position: int, spec: Preprocess) -> Pixels:
        """Its pixels as the networks take them, (H, W, C) uint8.

        Raises:
            ImageError: it is broken.
            OSError: it cannot be opened.
        """


@dataclass(frozen=True)
class Source:
    """A data set as it is found: its classes, and images to learn from, to test with, or both.

    Images are listed when they are wanted: of 1.28 M files that takes a minute.
    """

    name: str
    classes: tuple[str, ...]
    train: Callable[[], Images] | None
    test: Callable[[], Images] | None
    """None where the set has no test images of its own."""
    own: Preprocess | None = None
    """Of a set whose images have one size."""


@dataclass(frozen=True)
class ImageFiles:
    """Images in files."""

    root: Path
    paths: tuple[str, ...]
    """(N,) relative to the root."""
    targets: NDArray[np.int64]
    others: tuple[tuple[str, str], ...] = ()

    def key(self) -> str:
        """From names, sizes and times of change: nothing is read."""
        digest = hashlib.sha256(f"{self.root.resolve()} {self.others}".encode())
        for path in self.paths:
            digest.update(f"\0{path} {_state(self.root / path)}".encode())
        return digest.hexdigest()

    def name(self, position: int) -> str:
        """Its path."""
        return str(self.root / self.paths[position])

    def read(self, position: int, spec: Preprocess) -> Pixels:
        """As the service would."""
        return preprocess((self.root / self.paths[position]).read_bytes(), spec, _MAX_PIXELS)


@dataclass(frozen=True)
class ImageArray:
    """Small pictures of one size, all in memory."""

    pixels: Pixels
    """(N, H, W, C) uint8."""
    targets: NDArray[np.int64]
    others: tuple[tuple[str, str], ...] = ()

    def fits(self, spec: Preprocess) -> bool:
        """Whether preprocessing would leave the pixels as they are."""
        channels, height, width = spec.input_size
        return spec.crop_pct == 1 and self.pixels.shape[1:] == (height, width, channels)

    def key(self) -> str:
        """From the pixels."""
        return hashlib.sha256(np.ascontiguousarray(self.pixels).data).hexdigest()

    def name(self, position: int) -> str:
        """Its number."""
        return f"image {position}"

    def read(self, position: int, spec: Preprocess) -> Pixels:
        """Resized and cropped as the service would."""
        pixels = self.pixels[position]
        image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
        return fit_to_input(image.convert(_MODES[spec.input_size[0]]), spec)


def sort_out(paths: list[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Paths that may be images, and those that are none by their suffix, with the reason.

    >>> sort_out(["a.JPEG", "notes.txt"])
    (['a.JPEG'], [('notes.txt', 'no image by its suffix .txt')])
    """
    suffixes = [Path(path).suffix.lower() for path in paths]
    taken = [path for path, suffix in zip(paths, suffixes, strict=True) if suffix in SUFFIXES or not suffix]
    others = [
        (path, f"no image by its suffix {suffix}")
        for path, suffix in zip(paths, suffixes, strict=True)
        if suffix and suffix not in SUFFIXES
    ]
    return taken, others


def _state(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
