"""Splits of the named kinds: which an oracle meets in training and calibration, and which only evaluation does.

Figures on one split say as much about the split as about the oracle. So there are three random ones, and two where
whole families are unseen. The alternating split is the one a bundle is made with: every family is met, so a served
oracle has seen something of each; no split was chosen by its result.
"""

from dataclasses import dataclass

import numpy as np

from training.shift.corruptions import TRAINED_KINDS
from training.shift.transforms import FAMILIES, NAMED


@dataclass(frozen=True)
class KindSplit:
    """Two disjoint groups that together are all named kinds."""

    name: str
    trained: tuple[str, ...]
    unseen: tuple[str, ...]


def kind_split(name: str) -> KindSplit:
    """A split by name.

    Raises:
        ValueError: unknown name; it lists the known ones.
    """
    if name not in SPLITS:
        raise ValueError(f"split of kinds {name!r} is unknown; wanted one of {', '.join(SPLITS)}")
    return SPLITS[name]


def _split(name: str, trained: set[str]) -> KindSplit:
    kinds = tuple(NAMED)
    return KindSplit(name, tuple(k for k in kinds if k in trained), tuple(k for k in kinds if k not in trained))


def _random(number: int) -> KindSplit:
    order = np.random.default_rng(number).permutation(len(NAMED))
    return _split(f"random-{number}", {list(NAMED)[place] for place in order[: len(NAMED) // 2]})


def _unseen_families(*families: str) -> KindSplit:
    unseen = {transform.__name__ for family in families for transform in FAMILIES[family]}
    return _split(f"{'-'.join(families)}-unseen", set(NAMED) - unseen)


ALTERNATING = _split("alternating", set(TRAINED_KINDS))
RANDOM = tuple(_random(number) for number in range(3))
UNSEEN_FAMILIES = (_unseen_families("tone", "overlay"), _unseen_families("noise", "geometry"))
SPLITS = {split.name: split for split in (ALTERNATING, *RANDOM, *UNSEEN_FAMILIES)}
