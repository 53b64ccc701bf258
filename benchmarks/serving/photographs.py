"""Photographs to send: scikit-image's own, cut to 640 x 480 or any other size, as JPEG files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image, ImageOps

from trust.preprocess import Pixels

NAMES = ("astronaut", "coffee", "chelsea", "rocket")
QUALITY = 90


def photographs(width: int, height: int) -> list[Image.Image]:
    """Each photograph, cut to this shape."""
    pictures = [Image.fromarray(getattr(skimage.data, name)()).convert("RGB") for name in NAMES]
    return [ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS) for picture in pictures]


def write_photographs(folder: Path, width: int, height: int) -> Sequence[Path]:
    """The files, written where they are not there yet."""
    files = [folder / f"{name}-{width}x{height}.jpg" for name in NAMES]
    if not all(file.is_file() for file in files):
        folder.mkdir(parents=True, exist_ok=True)
        for file, picture in zip(files, photographs(width, height), strict=True):
            picture.save(file, "JPEG", quality=QUALITY)
    return files


def crops(count: int, side: int) -> Pixels:
    """Random square parts of the photographs, (count, side, side, 3) uint8; always the same ones."""
    generator = np.random.default_rng(0)
    pictures = [np.asarray(picture) for picture in photographs(640, 480)]
    places = generator.integers(0, [len(pictures), 480 - side, 640 - side], (count, 3))
    return np.stack([pictures[k][top : top + side, left : left + side] for k, top, left in places])
