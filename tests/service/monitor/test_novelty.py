"""The p-value of novelty is uniform on clean traffic, ties or not, and its alarm keeps to what it says."""

import math

import numpy as np
import pytest
from scipy.stats import kstest

from service.monitor.alarm import EDetector
from service.monitor.novelty import NoveltyReference


@pytest.mark.parametrize("decimals", [9, 0], ids=["no ties", "many ties"])
def test_p_value_of_an_image_like_the_reference_is_uniform(decimals):
    draws = np.random.default_rng(0).normal(size=(2000, 20)).round(decimals)
    found = [NoveltyReference(row[1:], seed).p_values(row[:1])[0] for seed, row in enumerate(draws)]
    assert kstest(found, "uniform").pvalue > 0.01


def test_p_value_counts_the_more_novel_and_draws_among_equals():
    reference = NoveltyReference([5.0, 1.0, 3.0, 3.0])
    equal, between = 5 * reference.p_values([3.0] * 100), 5 * reference.p_values([2.0] * 100)
    assert ((equal >= 1) & (equal < 4)).all()  # one is more novel, two are equal, and the image itself
    assert ((between >= 3) & (between < 4)).all()


@pytest.mark.parametrize("novelty", [100.0, math.inf, math.nan])
def test_image_beyond_all_others_has_the_least_p_value(novelty):
    reference = NoveltyReference(np.arange(99.0))
    found = reference.p_values([novelty] * 100)
    assert ((found >= 0) & (found < 0.01)).all()


def test_same_seed_same_p_values_however_many_come_at_once():
    one, other = (NoveltyReference([1.0, 1.0, 2.0], seed=7) for _ in range(2))
    novelties = [1.0, 2.0, 0.5, 1.0, 1.0]
    assert [one.p_values([novelty])[0] for novelty in novelties] == other.p_values(novelties).tolist()


def test_mean_p_value_of_one_reference_is_seldom_below_its_lower_bound():
    generator = np.random.default_rng(0)
    # Uniform novelties: the p-value of a clean image is on average the mean of the reference, as good as exactly.
    means = generator.uniform(size=(4000, 500)).mean(axis=1)
    below = (means < NoveltyReference(np.arange(500.0)).mean_lower).mean()
    assert below == pytest.approx(0.025, abs=4 * (0.025 * 0.975 / 4000) ** 0.5)


@pytest.mark.parametrize("novelties", [[], [1.0, math.nan], [math.inf]])
def test_reference_without_finite_novelties_is_refused(novelties):
    with pytest.raises(ValueError, match="novelties"):
        NoveltyReference(novelties)


def test_alarm_on_the_mean_p_value_finds_stranger_images_and_leaves_clean_ones_alone():
    generator = np.random.default_rng(0)
    reference = NoveltyReference(generator.normal(size=2000))
    detector = EDetector(reference.mean_lower - 0.03, a=100_000)
    assert detector.first_alarm(reference.p_values(generator.normal(size=10_000))) is None
    assert detector.first_alarm(reference.p_values(generator.normal(0.5, size=1000))) is not None
