"""Opens a source's images: each is decoded once to see whether it can be, and kept on disk where there is room.

Broken images are left out and listed. A set whose pixels exceed the limit or the free disk is decoded again whenever
pixels are asked for; both ways give the same.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL
from rich.progress import track

from training.data.dataset import Split
from training.data.skipped import Skipped, read_skipped, write_skipped
from training.data.stores import DecodedStore, LazyStore, image_digests
from training.data.undecoded import ImageArray, Images
from training.once import made_once
from trust.preprocess import ImageError, Pixels, Preprocess

DECODED_LIMIT_BYTES = 64 * 2**30
"""Larger sets are decoded when asked for: 450,000 images of 224 x 224 RGB."""

SKIPPED = "skipped.csv"
_PIXELS, _ROWS, _DIGESTS = "pixels.npy", "rows.npy", "digests.npy"
_CHUNK = 4096


def open_images(
    images: Images, spec: Preprocess, cache: Path, limit_bytes: int = DECODED_LIMIT_BYTES
) -> tuple[Split, Skipped]:
    """All images that can be read, in order, and what was skipped.

    Args:
        images: N images.
        spec: how they become pixels.
        cache: folder for what is decoded: N x H x W x C bytes up to the limit, beyond it 40 N.
        limit_bytes: largest set to keep decoded.

    Raises:
        ValueError: there is no image, or more than half of them are broken, naming some.
    """
    if not len(images.targets):
        raise ValueError(f"there is no image to read; {Skipped(images.others)}")
    if isinstance(images, ImageArray) and images.fits(spec):
        return Split(images.pixels, np.arange(len(images.targets)), images.targets), Skipped()
    kept = cache / f"decoded-{_key(images, spec)}"
    lazy = not kept.is_dir() and len(images.targets) * np.prod(_shape(spec)) > min(limit_bytes, _free(cache))
    folder = made_once(
        kept.with_name(f"{kept.name}-lazy") if lazy else kept,
        lambda partial: _decode(images, spec, partial, keep=not lazy),
    )
    rows, digests = np.load(folder / _ROWS), np.load(folder / _DIGESTS, mmap_mode="r")
    store = (
        LazyStore(images, spec, digests) if lazy else DecodedStore(np.load(folder / _PIXELS, mmap_mode="r"), digests)
    )
    return Split(store, rows, images.targets[rows]), read_skipped(folder / SKIPPED)


def _decode(images: Images, spec: Preprocess, folder: Path, *, keep: bool) -> None:
    count = len(images.targets)
    digests = np.zeros((count, 32), np.uint8)
    pixels: Pixels | None = None
    if keep:
        pixels = np.lib.format.open_memmap(folder / _PIXELS, mode="w+", dtype=np.uint8, shape=(count, *_shape(spec)))

    def decode(position: int) -> str | None:
        try:
            image = images.read(position, spec)
        except (ImageError, OSError) as error:
            return str(error)
        digests[position] = image_digests(image[None])
        if pixels is not None:
            pixels[position] = image
        return None

    reasons = list(track(_in_threads(decode, count), "decoding images", total=count))
    broken = [(images.name(position), reason) for position, reason in enumerate(reasons) if reason is not None]
    if 2 * len(broken) > count:
        raise ValueError(f"{len(broken)} of {count} images cannot be read: {Skipped(tuple(broken))}")
    write_skipped(folder / SKIPPED, [*images.others, *broken])
    np.save(folder / _DIGESTS, digests)
    np.save(folder / _ROWS, np.flatnonzero([reason is None for reason in reasons]))


def _in_threads(decode: Callable[[int], str | None], count: int) -> Iterator[str | None]:
    with ThreadPoolExecutor() as pool:
        # In chunks: a million jobs at once would weigh more than the pixels in flight.
        for start in range(0, count, _CHUNK):
            yield from pool.map(decode, range(start, min(start + _CHUNK, count)))


def _key(images: Images, spec: Preprocess) -> str:
    # Another Pillow may resize to other pixels.
    return hashlib.sha256(f"{images.key()} {spec!r} {PIL.__version__}".encode()).hexdigest()[:16]


def _shape(spec: Preprocess) -> tuple[int, int, int]:
    channels, height, width = spec.input_size
    return height, width, channels


def _free(folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    return shutil.disk_usage(folder).free
