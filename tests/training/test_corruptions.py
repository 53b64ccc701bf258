"""Every corruption on real and made images: what it keeps, what it changes, and that a seed fixes it."""

import pytest
import torch

from training.shift.corruptions import TRAINED_KINDS, UNSEEN_KINDS, corrupt, corrupt_in_chains
from training.shift.transforms import FAMILIES, NAMED, NAMELESS

KINDS = [*NAMED, *NAMELESS]


@pytest.fixture(scope="module")
def images():
    """32 smooth pictures with dark, grey and bright parts."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(32, 1, 5, 5, generator=generator)
    fine = torch.nn.functional.interpolate(coarse, (28, 28), mode="bicubic").clamp(0, 1)
    return (fine * 255).round() / 255


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 40, 64)], ids=["grey", "colour"])
def test_result_is_an_image_of_the_same_shape(kind, shape):
    images = torch.rand(5, *shape, generator=torch.Generator().manual_seed(1))
    out = corrupt(images, kind, severity=4, seed=0)
    assert out.shape == images.shape
    assert torch.equal(out, (out.clamp(0, 1) * 255).round() / 255)


@pytest.mark.parametrize("kind", KINDS)
def test_seed_fixes_the_result(kind, images):
    assert torch.equal(corrupt(images, kind, 3, seed=5), corrupt(images, kind, 3, seed=5))


@pytest.mark.parametrize("kind", KINDS)
def test_severe_changes_more_than_mild(kind, images):
    mild, severe = ((corrupt(images, kind, s, seed=2) - images).abs().mean() for s in (1, 5))
    assert 0 < mild < severe


def test_callers_random_numbers_are_left_alone(images):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    corrupt(images, "gaussian_noise", 3, seed=0)
    corrupt_in_chains(images, KINDS, seed=0)
    assert torch.equal(torch.rand(1), expected)


def test_brightness_adds_and_darken_takes_away():
    grey = torch.full((1, 1, 28, 28), 102 / 255)
    # Strength 1 is half of the range: 102 + 127.5 rounds to even, 102 - 127.5 is cut at black.
    assert corrupt(grey, "brightness", 5, seed=0).mul(255).round().unique().tolist() == [230]
    assert corrupt(grey, "darken", 5, seed=0).unique().tolist() == [0]


def test_posterize_at_its_worst_leaves_black_and_white(images):
    assert set(corrupt(images, "posterize", 5, seed=0).unique().tolist()) == {0.0, 1.0}


def test_half_of_the_kinds_are_kept_from_training():
    assert len(TRAINED_KINDS) == len(UNSEEN_KINDS) == 12
    assert set(TRAINED_KINDS) | set(UNSEEN_KINDS) == set(NAMED)
    for family in FAMILIES.values():
        names = {transform.__name__ for transform in family}
        assert names & set(TRAINED_KINDS)
        assert names & set(UNSEEN_KINDS)


def test_chain_uses_only_the_kinds_it_was_given():
    black = torch.zeros(64, 1, 28, 28)
    # Darkening black changes nothing; any other kind would.
    assert torch.equal(corrupt_in_chains(black, ("darken", "contrast", "defocus_blur"), seed=0), black)


def test_chains_differ_between_chunks():
    images = torch.full((320, 1, 28, 28), 0.5)
    means = corrupt_in_chains(images, ("brightness", "darken", "contrast"), seed=0).mean((1, 2, 3))
    assert len(means.unique()) > 10


def test_unknown_kind_names_the_known_ones(images):
    with pytest.raises(ValueError, match="corruption 'snow' is unknown; wanted one of gaussian_noise"):
        corrupt(images, "snow", 3, seed=0)
