"""Bootstrap intervals: what is counted is what would be resampled, and the truth lies inside as often as promised."""

import dataclasses

import numpy as np
import pytest
from scipy.stats import norm

from training.bootstrap import COUNTS_AT_ONCE, bootstrap, bootstrap_paired, draw_counts
from training.metrics.calibration import brier_score, ece, nll
from training.metrics.measure import sort_answers
from training.metrics.ranking import aupr_error, aupr_success, auroc, fpr_at_95_tpr
from training.metrics.selective import augrc, aurc, coverage_at_risk, e_aurc, risk_at_coverage, tnr, tpr
from training.metrics.separability import bhattacharyya_distance, kl_divergence

MEASURES = {
    "auroc": auroc,
    "aupr_error": aupr_error,
    "aupr_success": aupr_success,
    "fpr_at_95_tpr": fpr_at_95_tpr,
    "aurc": aurc,
    "aurc of crl": aurc.at(convention="crl"),
    "e_aurc": e_aurc,
    "augrc": augrc,
    "risk_at_coverage": risk_at_coverage.at(coverage=0.8),
    "coverage_at_risk": coverage_at_risk.at(risk=0.1),
    "tpr": tpr.at(threshold=0.5),
    "tnr": tnr.at(threshold=0.5),
    "ece": ece,
    "brier_score": brier_score,
    "nll": nll,
    "kl_divergence": kl_divergence,
    "bhattacharyya_distance": bhattacharyya_distance,
}


def honest_answers(number: int, seed: int = 0):
    """Confidences, and answers that are right as often as these say."""
    rng = np.random.default_rng(seed)
    confidence = rng.beta(4, 1, number)
    return confidence, rng.random(number) < confidence


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
@pytest.mark.parametrize("decimals", [1, 15], ids=["many ties", "no ties"])
@pytest.mark.parametrize("number", [5, 60])
def test_counted_answers_measure_as_the_resampled_list_does(measure, decimals, number):
    confidence, correct = honest_answers(number)
    confidence = confidence.round(decimals)
    counts = np.concatenate(list(draw_counts(number, resamples=50, seed=1)))
    counted = measure.over(sort_answers(confidence, correct).resample(counts))
    drawn = [np.repeat(np.arange(number), row) for row in counts]
    listed = [measure(confidence[answers], correct[answers]) for answers in drawn]
    np.testing.assert_allclose(counted, listed, rtol=1e-9, atol=1e-12)


def test_every_resample_is_as_long_as_the_list():
    answers = COUNTS_AT_ONCE // 7
    counts = list(draw_counts(answers, resamples=20, seed=0))
    assert [len(chunk) for chunk in counts] == [7, 7, 6]
    assert (np.concatenate(counts).sum(1) == answers).all()


def test_interval_of_a_mean_is_as_wide_as_its_standard_error_says():
    confidence, correct = honest_answers(2000)
    costs = (confidence - correct) ** 2
    interval = bootstrap({"brier_score": brier_score}, confidence, correct, resamples=4000)["brier_score"]
    assert interval.value == pytest.approx(costs.mean())
    half_width = norm.ppf(0.975) * costs.std() / np.sqrt(2000)
    assert [interval.low, interval.high] == pytest.approx(costs.mean() + half_width * np.array([-1, 1]), rel=0.02)


def test_interval_of_auroc_covers_the_truth_in_95_percent_of_redraws():
    # Right answers score as N(1, 1), wrong ones as N(0, 1): their difference is above 0 with Phi(1 / sqrt 2).
    truth, redraws, rng = norm.cdf(1 / np.sqrt(2)), 500, np.random.default_rng(0)
    covered = 0
    for seed in range(redraws):
        correct = rng.random(300) < 0.7
        interval = bootstrap({"auroc": auroc}, rng.normal(correct, 1), correct, resamples=300, seed=seed)["auroc"]
        covered += interval.low <= truth <= interval.high
    assert covered / redraws == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / redraws))


def test_wider_levels_hold_narrower_ones():
    confidence, correct = honest_answers(300)
    narrow, wide = (bootstrap(MEASURES, confidence, correct, 200, level) for level in (0.5, 0.99))
    for name in MEASURES:
        assert wide[name].low <= narrow[name].low <= narrow[name].high <= wide[name].high


def test_a_seed_gives_the_same_intervals_again():
    answers = honest_answers(300)
    assert bootstrap(MEASURES, *answers, 50, seed=3) == bootstrap(MEASURES, *answers, 50, seed=3)
    assert bootstrap(MEASURES, *answers, 50, seed=3) != bootstrap(MEASURES, *answers, 50, seed=4)


def test_resamples_of_one_kind_of_answer_are_left_out_of_rankings_only():
    # Of two answers, a resample holds both with probability 1/2.
    found = bootstrap({"auroc": auroc, "aurc": aurc}, [0.9, 0.1], [True, False], resamples=1000)
    assert found["auroc"].left_out == pytest.approx(500, abs=3 * np.sqrt(250))
    assert (found["auroc"].low, found["auroc"].high) == (1.0, 1.0)
    assert found["aurc"].left_out == 0


def test_measure_that_is_never_defined_has_no_interval():
    everything = dataclasses.astuple(bootstrap({"auroc": auroc}, [0.9, 0.1], [True, True], resamples=10)["auroc"])
    np.testing.assert_equal(everything, (np.nan, np.nan, np.nan, 10))


def test_score_is_not_better_than_itself():
    confidence, correct = honest_answers(300)
    found = bootstrap_paired({"auroc": auroc, "aurc": aurc}, confidence, confidence, correct, resamples=50)
    assert [dataclasses.astuple(comparison) for comparison in found.values()] == [(0, 0, 0, 1, 0)] * 2


def test_better_score_is_better_whichever_way_the_measure_goes():
    confidence, correct = honest_answers(1000)
    noisy = np.clip(confidence + np.random.default_rng(1).normal(0, 0.5, 1000), 0, 1)
    found = bootstrap_paired({"auroc": auroc, "aurc": aurc}, confidence, noisy, correct, resamples=200)
    assert found["auroc"].low > 0 > found["aurc"].high
    assert found["auroc"].difference == auroc(confidence, correct) - auroc(noisy, correct)
    assert found["auroc"].share_not_better == found["aurc"].share_not_better == 0
    turned = bootstrap_paired({"auroc": auroc, "aurc": aurc}, noisy, confidence, correct, resamples=200)
    assert turned["auroc"].share_not_better == turned["aurc"].share_not_better == 1


def test_pairing_makes_the_difference_of_like_scores_sure():
    confidence, correct = honest_answers(1000)
    like = confidence + np.random.default_rng(1).normal(0, 0.01, 1000)
    difference = bootstrap_paired({"auroc": auroc}, confidence, like, correct, resamples=200)["auroc"]
    alone = bootstrap({"auroc": auroc}, confidence, correct, resamples=200)["auroc"]
    assert difference.high - difference.low < (alone.high - alone.low) / 5
