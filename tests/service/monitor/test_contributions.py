"""Where a change comes from: sums that are exact, tests that scipy makes too, and few false finds."""

import numpy as np
import pytest
from scipy.stats import chi2_contingency, false_discovery_control, norm

from service.monitor.contributions import ClassSums, benjamini_hochberg, contributions


def sums(answers):
    """The sums of answers given as one list of values for each class."""
    columns = ([len(values), sum(values), sum(value**2 for value in values)] for values in answers)
    return ClassSums(*np.array(list(columns), float).T)


def drawn(generator, counts, means):
    """Sums of so many answers of each class, beta-distributed around its mean."""
    index = np.repeat(np.arange(len(counts)), counts)
    values = generator.beta(10 * means[index], 10 * (1 - means[index]))
    return ClassSums(np.asarray(counts, float), *(np.bincount(index, values**power) for power in (1, 2)))


REFERENCE = sums([[0.9, 0.7], [0.4, 0.6], [0.8] * 4])  # means .8 .5 .8, over all .725


def test_class_that_is_served_worse_contributes_within():
    found = contributions(sums([[0.9, 0.7], [0.1, 0.3], [0.8] * 4]), REFERENCE)
    np.testing.assert_allclose(found.mix, 0, atol=1e-15)
    np.testing.assert_allclose(found.within, [0, (0.2 - 0.5) / 4, 0], atol=1e-15)


def test_class_below_the_mean_that_is_asked_more_contributes_by_mix():
    found = contributions(sums([[0.9, 0.7], [0.4, 0.6] * 3, [0.8] * 4]), REFERENCE)
    shares = np.array([2, 6, 4]) / 12 - np.array([2, 2, 4]) / 8
    np.testing.assert_allclose(found.mix, shares * ([0.8, 0.5, 0.8] - np.array(0.725)))
    np.testing.assert_allclose(found.within, 0, atol=1e-15)


@pytest.mark.parametrize(
    "live",
    [
        [[0.9], [0.2, 0.3, 0.4], [0.5] * 9],
        [[], [0.2, 0.3], [0.5]],
        [[0.1], [], []],
    ],
    ids=["all classes", "a class is gone", "one class is left"],
)
def test_contributions_add_up_to_the_change(live):
    found = contributions(sums(live), REFERENCE)
    assert found.change == pytest.approx(np.mean(np.concatenate(live)) - 0.725)
    assert found.mix.sum() + found.within.sum() == pytest.approx(found.change)


def test_class_new_to_the_reference_changes_the_mix_alone():
    found = contributions(sums([[0.8], [0.2]]), sums([[0.8, 0.8], []]))
    assert found.mix.tolist() == pytest.approx([0, 0.5 * (0.2 - 0.8)])
    assert found.within.tolist() == [0, 0]


def test_class_nobody_ever_saw_contributes_nothing():
    found = contributions(sums([[0.7], []]), sums([[0.8], []]))
    assert found.mix.tolist() == [0, 0]
    assert found.within.tolist() == pytest.approx([-0.1, 0])


def test_p_values_are_those_of_two_sample_z_tests():
    generator = np.random.default_rng(0)
    before, after = generator.beta(8, 2, 400), generator.beta(7, 3, 300)
    others = [0.5, 0.6] * 300
    found = contributions(sums([after, others]), sums([before, others]))
    z = (after.mean() - before.mean()) / np.sqrt(after.var(ddof=1) / 300 + before.var(ddof=1) / 400)
    assert found.within_p_value[0] == pytest.approx(2 * norm.sf(abs(z)))
    # The square of the pooled test of two shares is Pearson's chi-square of the 2 x 2 table.
    share = chi2_contingency([[300, 600], [400, 600]], correction=False)
    assert found.mix_p_value == pytest.approx([share.pvalue] * 2)


def test_too_few_answers_have_no_p_value():
    found = contributions(sums([[0.1] * 29, [0.5] * 971]), sums([[0.9] * 500, [0.5] * 500]))
    assert np.isnan(found.within_p_value[0])
    assert found.within_p_value[1] == 1
    rare = contributions(sums([[0.5] * 2, [0.5] * 98]), sums([[0.5] * 20, [0.5] * 980]))
    assert np.isnan(rare.mix_p_value).all()
    assert not any(told.any() for told in rare.significant())


def test_adjusted_p_values_are_scipys():
    p_values = np.random.default_rng(0).uniform(size=50) ** 3
    np.testing.assert_allclose(benjamini_hochberg(p_values), false_discovery_control(p_values, method="bh"))


def test_tests_that_were_not_made_do_not_count():
    p_values = np.array([0.01, np.nan, 0.04, np.nan])
    expected = false_discovery_control([0.01, 0.04], method="bh")
    np.testing.assert_array_equal(benjamini_hochberg(p_values), [expected[0], np.nan, expected[1], np.nan])


def test_no_tests_at_all_adjust_to_none():
    assert np.isnan(benjamini_hochberg([np.nan])).all()
    assert benjamini_hochberg([]).size == 0


def test_without_change_at_most_5_of_100_windows_find_any_class():
    generator = np.random.default_rng(0)
    shares, means = np.full(50, 0.02), np.linspace(0.5, 0.95, 50)
    found = []
    for _ in range(300):
        live, reference = (generator.multinomial(n, shares) for n in (5000, 10_000))
        told = contributions(drawn(generator, live, means), drawn(generator, reference, means)).significant(0.05)
        found.append(np.concatenate(told).any())
    # False discovery rate is the probability of any find where there is nothing to find.
    assert np.mean(found) <= 0.05 + 3 * (0.05 * 0.95 / 300) ** 0.5


def test_the_class_that_broke_is_found_and_the_others_are_not():
    generator = np.random.default_rng(0)
    means = np.full(20, 0.9)
    reference = drawn(generator, np.full(20, 500), means)
    means[7] = 0.6
    mix, within = contributions(drawn(generator, np.full(20, 250), means), reference).significant(0.01)
    assert np.flatnonzero(within).tolist() == [7]
    assert not mix.any()


def test_other_classes_are_refused():
    with pytest.raises(ValueError, match="live has 1 classes, the reference 3"):
        contributions(sums([[0.5]]), REFERENCE)


def test_no_answer_is_refused():
    with pytest.raises(ValueError, match="0 answers"):
        contributions(sums([[], [], []]), REFERENCE)
