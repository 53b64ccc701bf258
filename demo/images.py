"""Labelled images to replay, and a haze that slowly comes over them. numpy and Pillow alone: the service's own."""

import gzip
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package dataset-fashion-mnist puts it."""
_IMAGES_HEADER, _LABELS_HEADER = 16, 8
_SIDE = 28

Pixels = NDArray[np.uint8]


def labelled_images(classes: Sequence[str], samples: Path, folder: Path = FASHION_MNIST) -> tuple[Pixels, list[int]]:
    """Test images of Fashion-MNIST, (N, 28, 28), and their classes; the bundle's few samples where it is not installed.

    Args:
        classes: names, in the order of the model's.
        samples: folder with files named after their class, such as ankle-boot-1.png.
        folder: of the data set's own files.

    Raises:
        FileNotFoundError: neither folder has images.
    """
    if (folder / "t10k-images-idx3-ubyte.gz").is_file():
        images = gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes())
        labels = gzip.decompress((folder / "t10k-labels-idx1-ubyte.gz").read_bytes())
        pixels = np.frombuffer(images, np.uint8, offset=_IMAGES_HEADER).reshape(-1, _SIDE, _SIDE)
        return pixels, list(labels[_LABELS_HEADER:])
    files = sorted(samples.glob("*.png"))
    if not files:
        raise FileNotFoundError(f"no images to replay: neither {folder} nor {samples} has any")
    names = [re.sub(r"[^a-z0-9]+", "-", name.lower()) for name in classes]
    pixels = np.stack([np.asarray(Image.open(file).convert("L")) for file in files])
    return pixels, [names.index(file.stem.rsplit("-", 1)[0]) for file in files]


def haze(pixels: Pixels, strength: float, draw: np.random.Generator) -> Pixels:
    """One image, (H, W), mixed with light grey that is a little uneven: 0 leaves it as it is, 1 hides it.

    >>> haze(np.array([[0, 200]], np.uint8), 0.0, np.random.default_rng(0)).tolist()
    [[0, 200]]
    """
    if strength == 0:
        return pixels
    light = draw.normal(190, 15, pixels.shape)
    return np.clip((1 - strength) * pixels + strength * light, 0, 255).astype(np.uint8)


def endless(pixels: Pixels, targets: list[int], seed: int = 0) -> Iterator[tuple[Pixels, int]]:
    """Image and class, in random order, for ever."""
    draw = np.random.default_rng(seed)
    while True:
        for place in draw.permutation(len(pixels)):
            yield pixels[place], targets[place]


def png(pixels: Pixels) -> bytes:
    """An image file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
