"""Splits of the kinds are whole, disjoint, the same on every machine, and do what their names say."""

import pytest

from training.shift.corruptions import TRAINED_KINDS, UNSEEN_KINDS
from training.shift.splits import RANDOM, SPLITS, kind_split
from training.shift.transforms import FAMILIES, NAMED


def kinds_of(*families):
    return {transform.__name__ for family in families for transform in FAMILIES[family]}


@pytest.mark.parametrize("split", SPLITS.values(), ids=SPLITS)
def test_every_kind_is_either_trained_or_unseen(split):
    assert sorted([*split.trained, *split.unseen]) == sorted(NAMED)


@pytest.mark.parametrize("split", [SPLITS["alternating"], *RANDOM], ids=lambda split: split.name)
def test_half_of_the_kinds_are_unseen(split):
    assert len(split.unseen) == 12


def test_alternating_split_is_the_one_bundles_are_made_with():
    assert (SPLITS["alternating"].trained, SPLITS["alternating"].unseen) == (TRAINED_KINDS, UNSEEN_KINDS)


def test_random_splits_differ():
    assert len({split.unseen for split in RANDOM}) == 3


def test_whole_families_are_unseen_where_the_name_says_so():
    assert set(kind_split("tone-overlay-unseen").unseen) == kinds_of("tone", "overlay")
    assert set(kind_split("noise-geometry-unseen").unseen) == kinds_of("noise", "geometry")


def test_unknown_split_names_the_known_ones():
    with pytest.raises(ValueError, match="split of kinds 'random-9' is unknown; wanted one of alternating, random-0"):
        kind_split("random-9")
