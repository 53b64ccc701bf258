"""Data sets by name, opened and split: to train a classifier with, or to judge one that was trained elsewhere."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from training.data.dataset import Dataset, Split
from training.data.decoding import DECODED_LIMIT_BYTES, open_images
from training.data.folder import open_folder
from training.data.imagenet import open_imagenet
from training.data.listing import open_listing
from training.data.skipped import Skipped
from training.data.splits import check_classes, hold_out_test, split_to_learn, split_unseen
from training.data.torchvision_sets import SETS, open_array_set
from training.data.undecoded import Source
from trust.preprocess import Preprocess

Opener = Callable[[str, Path], Source]
"""What follows the colon, and the cache -> the data set."""

SOURCES: dict[str, Opener] = {
    "imagefolder": open_folder,
    "csv": open_listing,
    "imagenet": open_imagenet,
    **{name: partial(open_array_set, name=name) for name in SETS},
}
"""A new kind of data is one entry here."""


@dataclass(frozen=True)
class Labelled:
    """Images that a classifier trained elsewhere has not seen, not split yet."""

    name: str
    classes: tuple[str, ...]
    preprocess: Preprocess
    images: Split
    skipped: Skipped


def load_dataset(
    source: str,
    spec: Preprocess,
    seed: int,
    cache: Path,
    *,
    side: int | None = None,
    limit_bytes: int = DECODED_LIMIT_BYTES,
) -> Dataset:
    """A data set to train a classifier with, split with a seed; its own test images stay its test images.

    Args:
        source: `imagefolder:PATH` (one folder of images per class, directly or under PATH/train and PATH/test or
            val), `csv:FILE` (columns path, label and perhaps split), `imagenet` or `imagenet:PATH`, or a set that
            torchvision knows, `NAME` or `NAME:FOLDER`: `fashion-mnist`, `mnist`, `cifar10`, `cifar100`, `svhn`.
        spec: preprocessing of images of any size (a set whose images have one size has its own).
        seed: of the split.
        cache: folder for decoded pixels and downloads.
        side: pixels to which a set whose images have one size is resized; theirs where not given.
        limit_bytes: largest set to keep decoded.

    Raises:
        ValueError: unknown source, data that is not there, a class without readable images, too few images.
    """
    found = _open(source, cache)
    spec = _own_or(spec, found.own, side)
    if found.train is None:
        raise ValueError(f"{source} has images to test with and none to learn from; add some")
    images, skipped = open_images(found.train(), spec, cache, limit_bytes)
    check_classes(found.name, found.classes, images.targets)
    if found.test is None:
        rest, test = hold_out_test(images, seed)
    else:
        rest = images
        test, skipped_of_test = open_images(found.test(), spec, cache, limit_bytes)
        skipped += skipped_of_test
    parts = split_to_learn(found.name, rest, seed)
    return Dataset(found.name, found.classes, spec, **parts, test=test, skipped=skipped)


def open_labelled(source: str, spec: Preprocess, cache: Path, *, limit_bytes: int = DECODED_LIMIT_BYTES) -> Labelled:
    """All images that a classifier trained on this set has not seen: its test images where it has some, else all.

    Args:
        source: as `load_dataset`; `imagefolder:val/` may be one folder of class folders.
        spec: what the classifier is shown; every set's images are brought to it.
        cache: folder for decoded pixels and downloads.
        limit_bytes: largest set to keep decoded.

    Raises:
        ValueError: unknown source, data that is not there, or a class without images.
    """
    found = _open(source, cache)
    unseen = found.test or found.train
    assert unseen is not None, "a source has images to learn from, to test with, or both"
    images, skipped = open_images(unseen(), spec, cache, limit_bytes)
    check_classes(found.name, found.classes, images.targets)
    return Labelled(found.name, found.classes, spec, images, skipped)


def split_labelled(labelled: Labelled, seed: int) -> Dataset:
    """A data set to judge a classifier that was trained elsewhere: train is empty, the other splits share the images.

    Oracle, calibration, reference and test are 40, 25, 20 and 15 % of every class.

    Raises:
        ValueError: there are too few images.
    """
    parts = split_unseen(labelled.name, labelled.images, seed)
    return Dataset(labelled.name, labelled.classes, labelled.preprocess, **parts, skipped=labelled.skipped)


def _open(source: str, cache: Path) -> Source:
    kind, _, argument = source.partition(":")
    if kind not in SOURCES:
        raise ValueError(f"data {source!r} is unknown; wanted imagefolder:PATH, csv:FILE or one of {_named()}")
    return SOURCES[kind](argument, cache)


def _named() -> str:
    return ", ".join(name for name in SOURCES if name not in ("imagefolder", "csv"))


def _own_or(spec: Preprocess, own: Preprocess | None, side: int | None) -> Preprocess:
    if own is None or side is None:
        return own or spec
    return own.model_copy(update={"input_size": (own.input_size[0], side, side)})
