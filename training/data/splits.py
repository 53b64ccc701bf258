"""Which images do what: the shares of every split, and what a set must have to be split at all."""

import numpy as np

from training.data.dataset import Positions, Split, Targets

LEARNING_SHARES = {"train": 0.70, "oracle": 0.13, "calibration": 0.09, "reference": 0.08}
"""Two thirds for the classifier; what judges it must be images that it never saw."""
UNSEEN_SHARES = {"oracle": 0.40, "calibration": 0.25, "reference": 0.20, "test": 0.15}
"""Of images that a classifier trained elsewhere never saw."""
TEST_SHARE = 0.15
"""Held out of a set that has no test images of its own."""
FEWEST_TO_LEARN = 30
FEWEST_UNSEEN = 200
"""Below, no split is large enough to say anything with 95 % confidence."""

_SHOWN = 5


def check_classes(name: str, classes: tuple[str, ...], targets: Targets) -> None:
    """Refuses a set that cannot be learned from.

    Raises:
        ValueError: fewer than two classes, or a class without an image.
    """
    if len(classes) < 2:
        raise ValueError(f"{name} has {len(classes)} class {classes}; wanted at least 2")
    counts = np.bincount(targets, minlength=len(classes))
    empty = [classes[index] for index in np.flatnonzero(counts == 0)]
    if empty:
        raise ValueError(
            f"{name} has no readable image of {len(empty)} of {len(classes)} classes: {', '.join(empty[:_SHOWN])}; "
            "add some, or take the class away"
        )


def hold_out_test(images: Split, seed: int) -> tuple[Split, Split]:
    """Images to learn from and images to test with, 85 and 15 %."""
    order = np.random.default_rng(seed).permutation(len(images))
    held = round(TEST_SHARE * len(images))
    return images.take(order[held:]), images.take(order[:held])


def split_to_learn(name: str, rest: Split, seed: int) -> dict[str, Split]:
    """Train, oracle, calibration and reference, drawn at random.

    Raises:
        ValueError: there are too few images.
    """
    if len(rest) < FEWEST_TO_LEARN:
        raise ValueError(f"{name} has {len(rest)} images to learn from; wanted at least {FEWEST_TO_LEARN}")
    return _cut(rest, np.random.default_rng(seed).permutation(len(rest)), LEARNING_SHARES)


def split_unseen(name: str, images: Split, seed: int) -> dict[str, Split]:
    """Oracle, calibration, reference and test, each with its share of every class (to within one image), train empty.

    Raises:
        ValueError: there are too few images.
    """
    if len(images) < FEWEST_UNSEEN:
        raise ValueError(
            f"{name} has {len(images)} labelled images; wanted at least {FEWEST_UNSEEN}, better some thousands"
        )
    return _cut(images, _spread(images.targets, seed), UNSEEN_SHARES) | {"train": images.take(np.arange(0))}


def _cut(images: Split, order: Positions, shares: dict[str, float]) -> dict[str, Split]:
    ends = np.round(np.cumsum(list(shares.values()))[:-1] * len(images)).astype(int)
    return {name: images.take(part) for name, part in zip(shares, np.split(order, ends), strict=True)}


def _spread(targets: Targets, seed: int) -> Positions:
    """A random order in which any stretch has about its share of every class."""
    rng = np.random.default_rng(seed)
    place = np.empty(len(targets))
    for target in np.unique(targets):
        of_class = rng.permutation(np.flatnonzero(targets == target))
        # Evenly from a random start: rare classes would otherwise all end in the same split.
        place[of_class] = (np.arange(len(of_class)) + rng.random()) / len(of_class)
    return np.argsort(place)
