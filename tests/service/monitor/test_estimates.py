"""Means, rates and the prediction-powered estimate: against numpy, scipy, and many redraws of the reviewers' choice."""

import numpy as np
import pytest
from scipy.stats import binomtest, norm, sem

from service.monitor.estimates import LabelSums, mean_estimate, prediction_powered, ratio_estimate

ESTIMATED = np.array([0.8, 0.7, 0.9, 0.6, 0.75, 0.85])


def of_values(values, **options):
    values = np.asarray(values)
    return mean_estimate(values.size, values.sum(), (values**2).sum(), **options)


def test_mean_and_its_interval_are_those_of_the_values_themselves():
    found = of_values(ESTIMATED)
    low, high = norm.interval(0.95, loc=ESTIMATED.mean(), scale=sem(ESTIMATED))
    assert found.n == 6
    np.testing.assert_allclose(
        [found.value, found.standard_error, found.low, found.high], [ESTIMATED.mean(), sem(ESTIMATED), low, high]
    )


def test_interval_covers_the_mean_in_95_of_100_windows():
    draws = np.random.default_rng(0).beta(8, 2, size=(2000, 300))  # mean .8
    found = [of_values(row) for row in draws]
    covered = np.mean([one.low <= 0.8 <= one.high for one in found])
    assert covered == pytest.approx(0.95, abs=4 * (0.95 * 0.05 / 2000) ** 0.5)


@pytest.mark.parametrize("values", [[], [0.5]], ids=["none", "one"])
def test_fewer_than_two_answers_have_no_mean_estimate(values):
    assert of_values(values) is None


def test_interval_ends_where_values_can():
    assert (of_values([1.0, 0.8]).high, of_values([0.0, 0.2]).low) == (1.0, 0.0)


def test_gap_may_be_negative_where_its_limits_say_so():
    found = of_values([-0.1, -0.3], limits=(-1.0, 1.0))
    assert found.value == pytest.approx(-0.2)
    assert found.low == pytest.approx(-0.2 - 1.959964 * 0.1)  # values .1 from their mean: variance .02, over 2


def test_a_billion_equal_answers_have_no_spread_and_no_error_from_rounding():
    found = mean_estimate(10**9, 0.1 * 10**9, 0.01 * 10**9)
    assert found.value == pytest.approx(0.1)
    assert 0 <= found.standard_error < 1e-9


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (10, 10), (3, 7), (98, 100), (1, 100_000)])
def test_rate_has_wilsons_interval(successes, n):
    found = ratio_estimate(successes, n)
    interval = binomtest(successes, n).proportion_ci(0.95, method="wilson")
    assert found.value == successes / n
    np.testing.assert_allclose([found.low, found.high], [interval.low, interval.high], atol=1e-12)


def test_rate_of_nothing_is_none():
    assert ratio_estimate(0, 0) is None


def test_labels_move_the_estimate_by_what_they_show_it_to_be_wrong_by():
    realised, chosen = np.array([0.9, 0.2]), np.array([0, 3])
    found = powered(ESTIMATED, LabelSums.of(realised, ESTIMATED[chosen]))
    off = realised - ESTIMATED[chosen]  # .1 and -.4
    assert found.value == pytest.approx(ESTIMATED.mean() + off.mean())
    assert found.standard_error == pytest.approx(np.hypot(sem(ESTIMATED), sem(off)))


def test_with_every_label_it_is_the_realised_score():
    realised = np.array([0.9, 0.1, 0.8, 0.3, 0.9, 0.6])
    assert powered(ESTIMATED, LabelSums.of(realised, ESTIMATED)).value == pytest.approx(realised.mean())


def test_weights_only_count_by_their_ratio():
    realised, estimated, weights = [0.9, 0.2, 0.4], [0.8, 0.6, 0.7], np.array([1.0, 2.0, 5.0])
    one, tenfold = (powered(ESTIMATED, LabelSums.of(realised, estimated, scale * weights)) for scale in (1, 10))
    assert one.value == pytest.approx(tenfold.value)
    assert one.standard_error == pytest.approx(tenfold.standard_error)
    assert one.value == pytest.approx(ESTIMATED.mean() + (0.1 - 2 * 0.4 - 5 * 0.3) / 8)


@pytest.mark.parametrize("labels", [0, 1])
def test_fewer_than_two_labels_make_no_estimate(labels):
    assert powered(ESTIMATED, LabelSums.of([0.5] * labels, [0.5] * labels)) is None


@pytest.fixture(scope="module")
def reviews():
    """A thousand windows of 1,000 answers whose trust promises too much, reviewed mostly where it is low.

    Trust t is uniform, the answer is right with probability t^3, confidence is 1: Q is correctness, its estimate is t.
    """
    generator = np.random.default_rng(1)
    found = {"weighted": [], "unweighted": []}
    for _ in range(1000):
        trust = generator.uniform(size=1000)
        correct = generator.uniform(size=1000) < trust**3
        probability = np.where(trust < 0.5, 0.5, 0.05)
        seen = generator.uniform(size=1000) < probability
        for name, weight in (("weighted", 1 / probability[seen]), ("unweighted", 1.0)):
            found[name].append(powered(trust, LabelSums.of(correct[seen], trust[seen], weight)))
    return found


def test_estimate_is_unbiased_when_reviewers_choose_untrusted_images(reviews):
    values = np.array([found.value for found in reviews["weighted"]])
    assert abs(values.mean() - 1 / 4) < 3 * sem(values)  # the mean of t^3


def test_without_the_sampling_weights_it_would_be_wrong(reviews):
    values = np.array([found.value for found in reviews["unweighted"]])
    assert abs(values.mean() - 1 / 4) > 10 * sem(values)


def test_its_interval_covers_the_score_in_about_95_of_100_windows(reviews):
    covered = np.mean([found.low <= 1 / 4 <= found.high for found in reviews["weighted"]])
    assert 0.92 < covered < 0.98


def test_its_standard_error_is_the_spread_over_redraws(reviews):
    values = [found.value for found in reviews["weighted"]]
    stated = [found.standard_error for found in reviews["weighted"]]
    assert np.mean(stated) == pytest.approx(np.std(values), rel=0.1)


def powered(estimated, labels):
    return prediction_powered(estimated.size, estimated.sum(), (estimated**2).sum(), labels)
