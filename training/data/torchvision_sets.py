"""Data sets of small pictures that torchvision knows; Fashion-MNIST from Debian's package where it is installed."""

import gzip
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torchvision.datasets import CIFAR10, CIFAR100, MNIST, SVHN, FashionMNIST

from training.data.undecoded import ImageArray, Source
from trust.preprocess import Pixels, Preprocess

FASHION_MNIST = "fashion-mnist"
FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
FASHION_PREPROCESS = Preprocess(input_size=(1, 28, 28), mean=(0.2860,), std=(0.3530,))

_DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
_DIGITS = tuple("0123456789")


@dataclass(frozen=True)
class ArraySet:
    """One data set: how torchvision reads it, and what its pictures are."""

    read: Callable[[str, bool, bool], Any]
    """Root, train, download -> torchvision's dataset.

    Raises:
        RuntimeError, OSError: it is not there and cannot be downloaded.
    """
    preprocess: Preprocess
    """Size, mean and deviation of the pictures."""
    classes: tuple[str, ...] | None
    """Names, where torchvision's files do not say them."""
    way_out: str
    """How to get it where there is no network."""


def open_array_set(path: str, cache: Path, *, name: str) -> Source:
    """`NAME`, downloaded into the cache where it must and can be, or `NAME:FOLDER` that holds the files.

    The largest, SVHN, is 73,257 + 26,032 pictures of 32 x 32 RGB: 305 MB, held in memory.

    Raises:
        ValueError: it is not there and cannot be downloaded.
    """
    if name == FASHION_MNIST and not path and _DEBIAN_FOLDER.is_dir():
        train, test = (partial(_from_debian, split) for split in ("train", "t10k"))
        return Source(name, FASHION_CLASSES, train, test, FASHION_PREPROCESS)
    found = _read(name, path, cache, False)
    classes = SETS[name].classes or tuple(found.classes)
    train = partial(_from_torchvision, name, path, cache)
    return Source(name, classes, train, lambda: _as_images(found), SETS[name].preprocess)


def _from_torchvision(name: str, path: str, cache: Path) -> ImageArray:
    return _as_images(_read(name, path, cache, True))


def _read(name: str, path: str, cache: Path, train: bool) -> Any:
    root = Path(path) if path else cache
    try:
        return SETS[name].read(str(root), train, not path)
    except (RuntimeError, OSError) as error:
        tried = "does not hold it" if path else f"does not hold it and it cannot be downloaded ({error})"
        raise ValueError(f"{name}: {root} {tried}; {SETS[name].way_out}") from error


def _as_images(found: Any) -> ImageArray:
    pixels, targets = np.asarray(found.data), np.asarray(found.labels if isinstance(found, SVHN) else found.targets)
    if isinstance(found, SVHN):
        pixels = pixels.transpose(0, 2, 3, 1)
    return ImageArray(pixels[..., None] if pixels.ndim == 3 else pixels, targets.astype(np.int64))


def _from_debian(split: str) -> ImageArray:
    stem = _DEBIAN_FOLDER / split
    pixels, targets = _read_idx(Path(f"{stem}-images-idx3-ubyte.gz")), _read_idx(Path(f"{stem}-labels-idx1-ubyte.gz"))
    return ImageArray(pixels[..., None], targets.astype(np.int64))


def _read_idx(path: Path) -> Pixels:
    raw = gzip.decompress(path.read_bytes())
    dimensions = raw[3]
    shape = struct.unpack_from(f">{dimensions}I", raw, 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def _read_svhn(root: str, train: bool, download: bool) -> SVHN:
    return SVHN(root, split="train" if train else "test", download=download)


def _rgb(mean: tuple[float, float, float], std: tuple[float, float, float]) -> Preprocess:
    return Preprocess(input_size=(3, 32, 32), mean=mean, std=std)


SETS = {
    FASHION_MNIST: ArraySet(
        lambda root, train, download: FashionMNIST(root, train=train, download=download),
        FASHION_PREPROCESS,
        FASHION_CLASSES,
        f"on Debian: apt-get install dataset-fashion-mnist; elsewhere give {FASHION_MNIST}:FOLDER that holds "
        "FashionMNIST/raw/ with the four files, unpacked",
    ),
    "mnist": ArraySet(
        lambda root, train, download: MNIST(root, train=train, download=download),
        Preprocess(input_size=(1, 28, 28), mean=(0.1307,), std=(0.3081,)),
        _DIGITS,
        "give mnist:FOLDER that holds MNIST/raw/ with the four files of yann.lecun.com/exdb/mnist, unpacked",
    ),
    "cifar10": ArraySet(
        lambda root, train, download: CIFAR10(root, train=train, download=download),
        _rgb((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
        None,
        f"unpack {CIFAR10.filename} of www.cs.toronto.edu/~kriz/cifar.html and give cifar10:FOLDER that holds "
        f"{CIFAR10.base_folder}/",
    ),
    "cifar100": ArraySet(
        lambda root, train, download: CIFAR100(root, train=train, download=download),
        _rgb((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
        None,
        f"unpack {CIFAR100.filename} of www.cs.toronto.edu/~kriz/cifar.html and give cifar100:FOLDER that holds "
        f"{CIFAR100.base_folder}/",
    ),
    "svhn": ArraySet(
        _read_svhn,
        _rgb((0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970)),
        _DIGITS,
        "give svhn:FOLDER that holds train_32x32.mat and test_32x32.mat of ufldl.stanford.edu/housenumbers",
    ),
}
"""Every set by name; a new one is one entry here."""
