"""Distances from the reference against scipy, and their thresholds against many windows in which nothing changed."""

import math

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2, chi2_contingency, kstwobign, wasserstein_distance

from service.monitor.drift import chi_square, jensen_shannon, ks, psi, wasserstein
from service.monitor.quantiles import chi_square_quantile

LIVE, REFERENCE = np.array([3, 0, 40, 7, 50]), np.array([10, 5, 200, 85, 700])
CENTRES = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
NOISE = 1 / 100 + 1 / 1000

# Shares of trust on clean images: most of it in the last bin, little anywhere else.
TRUST = np.append(np.full(15, 0.004), [0.02, 0.03, 0.05, 0.1, 0.74])
# A few classes that are everywhere, and hundreds that are rare.
CLASSES = 1 / np.arange(1, 501) / np.sum(1 / np.arange(1, 501))


@pytest.mark.parametrize("degrees", [1, 2, 19, 99, 999, 21_840])
@pytest.mark.parametrize("probability", [0.5, 0.95, 0.99, 0.9999])
def test_quantile_of_chi_square_is_scipys(probability, degrees):
    assert chi_square_quantile(probability, degrees) == pytest.approx(chi2.ppf(probability, degrees), rel=1e-9)


def test_psi_is_its_formula_with_half_an_answer_in_every_bin():
    p, q = (LIVE + 0.5) / 102.5, (REFERENCE + 0.5) / 1002.5
    found = psi(LIVE, REFERENCE)
    assert found.value == pytest.approx(sum((p - q) * np.log(p / q)))
    assert found.threshold == pytest.approx(NOISE * chi2.ppf(0.99, 4))


def test_kolmogorov_smirnov_distance_is_the_widest_gap_of_the_cumulative_shares():
    found = ks(LIVE, REFERENCE)
    assert found.value == pytest.approx(0.215)  # up to the third bin 43 of 100 and 215 of 1000
    assert found.threshold == pytest.approx(kstwobign.ppf(0.99) * math.sqrt(NOISE), rel=1e-6)


def test_wasserstein_distance_is_scipys():
    expected = wasserstein_distance(CENTRES, CENTRES, LIVE, REFERENCE)
    assert wasserstein(LIVE, REFERENCE, width=0.2).value == pytest.approx(expected)


@pytest.mark.parametrize("found", [wasserstein([9, 0], [0, 9], width=1), jensen_shannon([9, 0], [0, 9])])
def test_distance_without_a_threshold_exceeds_none(found):
    assert (found.value, found.threshold, found.exceeded) == (1.0, None, False)


def test_jensen_shannon_distance_is_scipys_in_base_2():
    assert jensen_shannon(LIVE, REFERENCE).value == pytest.approx(jensenshannon(LIVE, REFERENCE, base=2))


def test_chi_square_is_scipys_with_rare_bins_as_one():
    # Of 1,100 answers 100 are live: bins with fewer than 55 in all expect fewer than 5 live ones.
    live, reference = [5, 0, 40, 10, 45, 0], [10, 40, 200, 85, 665, 0]
    statistic, _, degrees, _ = chi2_contingency([[5, 40, 10, 45], [50, 200, 85, 665]], correction=False)
    found = chi_square(live, reference)
    assert found.value == pytest.approx(statistic)
    assert found.threshold == pytest.approx(chi2.ppf(0.99, degrees))


@pytest.mark.parametrize("distance", [psi, ks, chi_square])
@pytest.mark.parametrize("shares", [TRUST, CLASSES], ids=["trust", "classes"])
@pytest.mark.parametrize("answers", [100, 500, 20_000])
def test_a_window_without_change_exceeds_the_threshold_about_once_in_a_hundred(distance, shares, answers):
    generator = np.random.default_rng(0)
    windows = [(generator.multinomial(answers, shares), generator.multinomial(4800, shares)) for _ in range(400)]
    exceeded = np.mean([distance(*window).exceeded for window in windows])
    assert exceeded <= 0.01 + 3 * (0.01 * 0.99 / 400) ** 0.5


@pytest.mark.parametrize("distance", [psi, ks, chi_square])
def test_a_fall_of_trust_exceeds_every_threshold(distance):
    fallen = 0.85 * TRUST + 0.15 * np.full(20, 0.05)
    assert distance(np.rint(2000 * fallen), 4800 * TRUST).exceeded


def test_usual_limit_of_psi_cries_wolf_over_100_answers_where_this_one_does_not():
    generator = np.random.default_rng(0)
    even = np.full(20, 0.05)
    found = [psi(generator.multinomial(100, even), generator.multinomial(4800, even)) for _ in range(300)]
    assert np.mean([one.value > 0.1 for one in found]) > 0.9
    assert np.mean([one.exceeded for one in found]) < 0.03


@pytest.mark.parametrize("distance", [psi, ks, jensen_shannon, chi_square])
def test_the_same_shares_are_at_distance_0(distance):
    assert distance(REFERENCE, REFERENCE).value == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("counts", [([70], [100]), ([1] * 70, [1] * 70)], ids=["one class", "all of them rare"])
def test_mix_of_a_single_bin_has_no_threshold(counts):
    found = chi_square(*counts)
    assert found.value == pytest.approx(0)
    assert found.threshold is None


def test_no_answer_is_no_distribution():
    with pytest.raises(ValueError, match="0 answers have no distribution"):
        psi([0, 0], [1, 2])


def test_counts_over_other_bins_are_refused():
    with pytest.raises(ValueError, match=r"live counts \(3,\) and reference counts \(2,\)"):
        ks([1, 2, 3], [1, 2])
