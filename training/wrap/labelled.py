"""The labelled images that a classifier is wrapped with, split once: the classifier has seen none of them."""

from pathlib import Path

import numpy as np

from training.data.dataset import Dataset, Split, load_dataset
from trust.preprocess import Preprocess

SHARES = {"oracle": 0.4, "calibration": 0.2, "reference": 0.2, "test": 0.2}
FEWEST = 200
"""Below, no split is large enough to say anything with 95 % confidence."""


def load_labelled(source: str, spec: Preprocess, cache: Path) -> tuple[Split, tuple[str, ...]]:
    """All images of a data set that a classifier trained on it has not seen, and the names of their classes.

    Args:
        source: `fashion-mnist` (its test images), or `imagefolder:PATH`, where of PATH/train and PATH/test the latter
            counts alone.
        spec: what the classifier is shown.
        cache: folder for decoded pixels and downloads.

    Raises:
        ValueError: unknown source, too few images, or a data set whose images have another size.
    """
    dataset = load_dataset(source, spec, seed=0, cache=cache)
    if dataset.preprocess.input_size != spec.input_size:
        found, wanted = (" x ".join(map(str, each.input_size)) for each in (dataset.preprocess, spec))
        raise ValueError(f"{source} has images of {found}, the classifier takes {wanted}; give them as an imagefolder")
    images = dataset.test
    if dataset.train.store is images.store:
        images = dataset.train + dataset.oracle + dataset.calibration + dataset.reference + images
    # In the order of the files again, whatever split they were in.
    return images.take(np.argsort(images.rows)), dataset.classes


def split_labelled(name: str, classes: tuple[str, ...], spec: Preprocess, images: Split, seed: int) -> Dataset:
    """Images in random order as four splits: oracle, calibration, reference, test.

    Raises:
        ValueError: there are too few.
    """
    if len(images) < FEWEST:
        raise ValueError(f"{name} has {len(images)} labelled images; wanted at least {FEWEST}, better some thousands")
    order = np.random.default_rng(seed).permutation(len(images))
    ends = np.round(np.cumsum(list(SHARES.values()))[:-1] * len(images)).astype(int)
    parts = dict(zip(SHARES, (images.take(index) for index in np.split(order, ends)), strict=True))
    return Dataset(name, classes, spec, train=images.take(np.arange(0)), **parts)
