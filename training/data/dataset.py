"""Images and targets, split once: uint8 pixels from the same preprocessing that the service uses.

A folder of images is decoded once into a memory-mapped array and read batch by batch, so that its size is bounded by
disk, not memory.
"""

import gzip
import hashlib
import os
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track
from torchvision.datasets import FashionMNIST

from trust.preprocess import ImageError, Pixels, Preprocess, preprocess

Targets = NDArray[np.int64]
Positions = NDArray[np.int64]

BATCH = 500
"""Images at a time where nothing is learned."""

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
_MAX_PIXELS = 200_000_000
_FEWEST = 30


@dataclass(frozen=True)
class Split:
    """Some rows of a store of images, and their targets."""

    store: Pixels
    """(M, H, W, C) uint8, perhaps memory-mapped and shared with other splits."""
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


@dataclass(frozen=True)
class Dataset:
    """All splits of one data set, disjoint.

    train fits the classifier; oracle is what the classifier never saw, so its errors there are honest; calibration
    fits the trust head; reference chooses the threshold and is what the monitor compares with; test is evaluation's.
    """

    name: str
    classes: tuple[str, ...]
    preprocess: Preprocess
    train: Split
    oracle: Split
    calibration: Split
    reference: Split
    test: Split

    def fingerprint(self) -> str:
        """SHA-256 over the pixels and targets of every split."""
        digest = hashlib.sha256()
        for split in (self.train, self.oracle, self.calibration, self.reference, self.test):
            for pixels in split.batches():
                digest.update(np.ascontiguousarray(pixels).data)
            digest.update(np.ascontiguousarray(split.targets).data)
        return digest.hexdigest()


def load_dataset(source: str, spec: Preprocess, seed: int, cache: Path) -> Dataset:
    """A data set by name, split with a seed.

    Args:
        source: `fashion-mnist`, or `imagefolder:PATH` with one folder of images per class, either directly or
            under PATH/train and PATH/test.
        spec: preprocessing of an image folder (Fashion-MNIST has its own).
        seed: of the split.
        cache: folder for decoded pixels and downloads.

    Raises:
        ValueError: unknown source, or a folder without two classes of readable images.
    """
    if source == FASHION_MNIST:
        rest, test = _fashion_mnist(cache)
        return _split(FASHION_MNIST, FASHION_CLASSES, FASHION_PREPROCESS, rest, test, seed)
    kind, _, path = source.partition(":")
    if kind != "imagefolder" or not path:
        raise ValueError(f"data {source!r} is unknown; wanted {FASHION_MNIST} or imagefolder:PATH")
    return _image_folder(Path(path), spec, seed, cache)


def _split(name: str, classes: tuple[str, ...], spec: Preprocess, rest: Split, test: Split, seed: int) -> Dataset:
    if len(rest) < _FEWEST:
        raise ValueError(f"{name} has {len(rest)} images to learn from; wanted at least {_FEWEST}")
    order = np.random.default_rng(seed).permutation(len(rest))
    # Two thirds for the classifier; what judges it must be images that it never saw.
    ends = np.round(np.array([0.70, 0.83, 0.92]) * len(rest)).astype(int)
    train, oracle, calibration, reference = (rest.take(index) for index in np.split(order, ends))
    return Dataset(name, classes, spec, train, oracle, calibration, reference, test)


def _fashion_mnist(cache: Path) -> tuple[Split, Split]:
    def split(train: bool) -> Split:
        images, targets = _from_debian(train) if _DEBIAN_FOLDER.is_dir() else _from_torchvision(train, cache)
        return Split(images[..., None], np.arange(len(images)), targets.astype(np.int64))

    return split(train=True), split(train=False)


def _from_debian(train: bool) -> tuple[Pixels, NDArray[Any]]:
    stem = _DEBIAN_FOLDER / ("train" if train else "t10k")
    return _read_idx(Path(f"{stem}-images-idx3-ubyte.gz")), _read_idx(Path(f"{stem}-labels-idx1-ubyte.gz"))


def _from_torchvision(train: bool, cache: Path) -> tuple[Pixels, NDArray[Any]]:
    try:
        found = FashionMNIST(str(cache), train=train, download=True)
    except (RuntimeError, OSError) as error:
        raise ValueError(
            f"Fashion-MNIST is not in {_DEBIAN_FOLDER} and cannot be downloaded ({error}); on Debian: "
            "apt-get install dataset-fashion-mnist"
        ) from error
    return found.data.numpy(), found.targets.numpy()


def _read_idx(path: Path) -> Pixels:
    raw = gzip.decompress(path.read_bytes())
    dimensions = raw[3]
    shape = struct.unpack_from(f">{dimensions}I", raw, 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def _image_folder(root: Path, spec: Preprocess, seed: int, cache: Path) -> Dataset:
    train_root = root / "train" if (root / "train").is_dir() else root
    classes = tuple(sorted(entry.name for entry in train_root.iterdir() if entry.is_dir())) if root.is_dir() else ()
    if len(classes) < 2:
        raise ValueError(f"{train_root} has {len(classes)} class folders; wanted at least 2, one folder per class")
    rest = _decode_folder(train_root, classes, spec, cache)
    test_root = next((root / name for name in ("test", "val") if (root / name).is_dir()), None)
    if test_root is not None and train_root != root:
        return _split(root.name, classes, spec, rest, _decode_folder(test_root, classes, spec, cache), seed)
    order = np.random.default_rng(seed).permutation(len(rest))
    held = round(0.15 * len(rest))
    return _split(root.name, classes, spec, rest.take(order[held:]), rest.take(order[:held]), seed)


def _decode_folder(root: Path, classes: tuple[str, ...], spec: Preprocess, cache: Path) -> Split:
    files = [(path, i) for i, name in enumerate(classes) for path in sorted((root / name).rglob("*")) if path.is_file()]
    key = hashlib.sha256(repr([(str(p), p.stat().st_mtime_ns) for p, _ in files] + [spec]).encode()).hexdigest()[:16]
    cache.mkdir(parents=True, exist_ok=True)
    pixels_path, index_path = cache / f"{key}-pixels.npy", cache / f"{key}-index.npy"
    if not index_path.exists():
        channels, height, width = spec.input_size
        partial = pixels_path.with_suffix(".partial")
        pixels = np.lib.format.open_memmap(
            partial, mode="w+", dtype=np.uint8, shape=(len(files), height, width, channels)
        )
        readable = _decode_into(pixels, [path for path, _ in files], spec)
        pixels.flush()
        os.replace(partial, pixels_path)
        # Written last: its presence says that the pixels are whole.
        np.save(index_path, readable)
    index = np.load(index_path)
    targets = np.array([target for _, target in files], np.int64)
    return Split(np.load(pixels_path, mmap_mode="r"), index, targets[index])


def _decode_into(pixels: Pixels, paths: list[Path], spec: Preprocess) -> Positions:
    def decode(position: int) -> bool:
        try:
            pixels[position] = preprocess(paths[position].read_bytes(), spec, _MAX_PIXELS)
        except ImageError as error:
            print(f"skipped {paths[position]}: {error}")
            return False
        return True

    with ThreadPoolExecutor() as pool:
        done = track(pool.map(decode, range(len(paths))), "decoding images", total=len(paths))
        return np.flatnonzero(np.fromiter(done, bool, len(paths)))
