"""Measures of a trust score against arithmetic, published reference values, scikit-learn and numerical integrals."""

import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score, roc_curve

from training.metrics.calibration import brier_score, ece, nll
from training.metrics.ranking import aupr_error, aupr_success, auroc, fpr_at_95_tpr
from training.metrics.selective import augrc, aurc, coverage_at_risk, e_aurc, risk_at_coverage, tnr, tpr, tpr_tnr
from training.metrics.separability import bhattacharyya_distance, kl_divergence, separability

ALTERNATING = np.array([False, True] * 50)
RISING = np.linspace(0, 1, 100)

RANKING = {"auroc": auroc, "aupr_error": aupr_error, "aupr_success": aupr_success, "fpr_at_95_tpr": fpr_at_95_tpr}
TIE_INVARIANT = RANKING | {
    "aurc": aurc,
    "e_aurc": e_aurc,
    "augrc": augrc,
    "risk_at_coverage": risk_at_coverage.at(coverage=0.6),
    "coverage_at_risk": coverage_at_risk.at(risk=0.3),
    "ece": ece,
    "brier_score": brier_score,
    "nll": nll,
    "kl_divergence": kl_divergence,
    "bhattacharyya_distance": bhattacharyya_distance,
}

# Few distinct scores, so that ties are common.
answer_lists = st.lists(st.tuples(st.integers(0, 10), st.booleans()), min_size=1, max_size=40).map(
    lambda answers: (np.array([tenths / 10 for tenths, _ in answers]), np.array([right for _, right in answers]))
)
answer_lists_of_both_kinds = answer_lists.filter(lambda answers: 0 < answers[1].mean() < 1)


@given(answer_lists_of_both_kinds)
def test_rankings_are_scikit_learns(answers):
    confidence, correct = answers
    assert auroc(confidence, correct) == pytest.approx(roc_auc_score(correct, confidence))
    assert aupr_success(confidence, correct) == pytest.approx(average_precision_score(correct, confidence))
    assert aupr_error(confidence, correct) == pytest.approx(average_precision_score(~correct, -confidence))
    fpr, true_positive_rate, _ = roc_curve(correct, confidence, drop_intermediate=False)
    assert fpr_at_95_tpr(confidence, correct) == pytest.approx(fpr[true_positive_rate >= 0.95].min())


def test_auroc_counts_ties_as_one_half():
    # Pairs (right, wrong): (.5, .5) a tie, (.8, .5) won.
    assert auroc([0.5, 0.8, 0.5], [True, True, False]) == pytest.approx(0.75)


def test_fpr_at_95_tpr_is_read_where_95_percent_of_the_correct_are_accepted():
    # 20 right answers at 20, 19 .. 1: 19 of 20 are accepted down to 2; wrong ones above that: 10.5 and 2.5 of four.
    confidence = np.r_[np.arange(20, 0, -1), [10.5, 2.5, 1.5, 0.5]]
    correct = np.r_[np.ones(20, bool), np.zeros(4, bool)]
    assert fpr_at_95_tpr(confidence, correct) == pytest.approx(2 / 4)


def test_aupr_error_ranks_by_falling_confidence():
    # Least confident first: wrong (precision 1), right, wrong (2/3): mean over both errors.
    assert aupr_error([0.1, 0.2, 0.3], [False, True, False]) == pytest.approx((1 + 2 / 3) / 2)


def test_aupr_success_ranks_by_confidence():
    # Most confident first: wrong, right (1/2), wrong.
    assert aupr_success([0.1, 0.2, 0.3], [False, True, False]) == pytest.approx(1 / 2)


def test_infinite_scores_tie_with_each_other():
    # Pairs (right, wrong): (inf, inf) a tie, (inf, 0) won.
    assert auroc([np.inf, np.inf, 0], [True, False, False]) == pytest.approx(0.75)


@pytest.mark.parametrize("measure", RANKING.values(), ids=RANKING)
@pytest.mark.parametrize("right", [True, False], ids=["all right", "all wrong"])
def test_ranking_of_one_kind_of_answer_is_undefined(measure, right):
    assert math.isnan(measure([0.5, 0.6], [right, right]))


@pytest.mark.parametrize(
    ("measure", "rising", "constant"),
    [
        (aurc, 0.48281112575762547, 0.5),
        (augrc, 0.2475, 0.25),
        # Constant: 1/2, less the ideal 1/2 + 1/2 ln 1/2.
        (e_aurc, 0.3293847160375979, 0.5 * math.log(2)),
    ],
    ids=["aurc", "augrc", "e_aurc"],
)
def test_alternating_answers_have_the_values_of_fd_shifts(measure, rising, constant):
    assert measure(RISING, ALTERNATING) == pytest.approx(rising, abs=1e-12)
    assert measure(np.full(100, 0.7), ALTERNATING) == pytest.approx(constant, abs=1e-12)


def test_aurc_by_hand():
    # Falling confidence: right, wrong. Risk 0 at coverage 1/2, 1/2 at 1: area 0 + (0 + 1/2) / 2 * 1/2.
    assert aurc([0.9, 0.1], [True, False]) == pytest.approx(0.125)


def test_aurc_below_the_smallest_coverage_takes_the_risk_there():
    # Risk 1/2 at coverage 2/3 (a tie), 1/3 at 1: area 2/3 * 1/2 + 1/3 * (1/2 + 1/3) / 2.
    assert aurc([0.9, 0.9, 0.1], [True, False, True]) == pytest.approx(1 / 3 + 5 / 36)


def test_aurc_of_crl_is_the_mean_risk_over_all_coverages():
    # Falling confidence: wrong, right, right, wrong.
    confidence, correct = [0.1, 0.9, 0.5, 0.7], [False, False, True, True]
    assert aurc(confidence, correct, "crl") == pytest.approx((1 / 1 + 1 / 2 + 1 / 3 + 2 / 4) / 4)


def test_aurc_of_crl_takes_ties_in_the_order_given():
    assert aurc([0.5, 0.5], [True, False], convention="crl") == pytest.approx((0 + 1 / 2) / 2)
    assert aurc([0.5, 0.5], [False, True], convention="crl") == pytest.approx((1 + 1 / 2) / 2)


@given(answer_lists)
def test_aurc_of_crl_is_the_sum_moon_writes(answers):
    confidence, correct = answers
    wrong = ~correct[np.argsort(-confidence, kind="stable")]
    risks = [wrong[:accepted].mean() for accepted in range(1, len(wrong) + 1)]
    assert aurc(confidence, correct, "crl") == pytest.approx(np.mean(risks))


def test_unknown_convention_of_aurc_is_refused():
    with pytest.raises(ValueError, match="'moon', must be 'fd-shifts' or 'crl'"):
        aurc([0.5], [True], "moon")


@pytest.mark.parametrize(("convention", "rest"), [("fd-shifts", 1e-6), ("crl", 1e-3)])
def test_e_aurc_of_the_ideal_order_vanishes_for_many_answers(convention, rest):
    ideal = np.arange(1000) >= 300
    assert e_aurc(np.linspace(0, 1, 1000), ideal, convention) == pytest.approx(0, abs=rest)


@pytest.mark.parametrize("convention", ["fd-shifts", "crl"])
@pytest.mark.parametrize("right", [True, False])
def test_e_aurc_of_one_kind_of_answer_is_zero(convention, right):
    assert e_aurc([0.2, 0.8, 0.8], [right] * 3, convention) == 0


@given(answer_lists)
def test_augrc_follows_from_auroc_and_accuracy(answers):
    confidence, correct = answers
    accuracy = correct.mean()
    lost_ranking = (1 - roc_auc_score(correct, confidence)) * accuracy * (1 - accuracy) if 0 < accuracy < 1 else 0
    assert augrc(confidence, correct) == pytest.approx(lost_ranking + (1 - accuracy) ** 2 / 2)


@pytest.mark.parametrize(
    ("coverage", "risk"), [(0.1, 0 / 1), (0.2, 0 / 1), (0.3, 1 / 3), (0.6, 1 / 3), (0.8, 2 / 4), (1.0, 3 / 5)]
)
def test_risk_at_coverage_accepts_ties_together(coverage, risk):
    # Right; a wrong and a right one tied; wrong; wrong. Coverages of thresholds: 1/5, 3/5, 4/5, 1.
    scores, correct = [0.9, 0.5, 0.5, 0.3, 0.1], [True, False, True, False, False]
    assert risk_at_coverage(scores, correct, coverage) == pytest.approx(risk)


@pytest.mark.parametrize(("risk", "coverage"), [(0.0, 0), (0.2, 0), (0.25, 4 / 5), (0.39, 4 / 5), (0.4, 1)])
def test_coverage_at_risk_is_the_largest_that_keeps_it(risk, coverage):
    # Wrong, right, right, right, wrong by falling score: risks 1, 1/2, 1/3, 1/4, 2/5.
    assert coverage_at_risk([5, 4, 3, 2, 1], [False, True, True, True, False], risk) == pytest.approx(coverage)


@pytest.mark.parametrize("measure", [partial(risk_at_coverage, coverage=0), partial(coverage_at_risk, risk=1.1)])
def test_impossible_coverage_and_risk_are_refused(measure):
    with pytest.raises(ValueError, match=r"coverage is 0, must be above 0|risk is 1.1, must be from 0 to 1"):
        measure([0.5], [True])


def test_trust_at_the_threshold_counts_as_trusted():
    assert tpr_tnr([0.5, 0.4], [True, False], threshold=0.5) == (1.0, 1.0)


def test_tpr_and_tnr_need_right_and_wrong_answers_each():
    assert tpr([0.5, 0.4], [True, True], threshold=0.5) == 1 / 2
    assert math.isnan(tnr([0.5, 0.4], [True, True], threshold=0.5))
    assert math.isnan(tpr([0.5, 0.4], [False, False], threshold=0.5))


def test_ece_of_honest_probabilities_is_zero():
    assert ece([0.75] * 4, [True, True, True, False]) == pytest.approx(0)


def test_ece_weights_bins_by_their_counts():
    # Three of four answers say .9 and are wrong, one says .1 and is wrong.
    assert ece([0.9, 0.9, 0.9, 0.1], [False] * 4) == pytest.approx(0.75 * 0.9 + 0.25 * 0.1)


def test_ece_bins_hold_their_lower_edge():
    # .5 falls into the upper of two bins, with .9: one gap |1.4 - 1| / 3; .3 alone: |.3 - 1| / 3.
    assert ece([0.5, 0.9, 0.3], [False, True, True], bins=2) == pytest.approx(0.4 / 3 + 0.7 / 3)


@given(answer_lists)
def test_brier_score_and_nll_are_scikit_learns(answers):
    probability, correct = answers
    assert brier_score(probability, correct) == pytest.approx(brier_score_loss(correct, probability, labels=[0, 1]))
    assert nll(probability, correct) == pytest.approx(log_loss(correct, probability, labels=[0, 1]))


@pytest.mark.parametrize("measure", [ece, brier_score, nll])
def test_calibration_of_what_is_no_probability_is_refused(measure):
    with pytest.raises(ValueError, match=r"2 of 3 confidences are outside of \[0, 1\]"):
        measure([-3.0, 0.5, 1.1], [False, True, True])


def test_softmax_a_rounding_above_one_is_a_probability():
    assert brier_score(np.array([1 + 1e-7], np.float32), [True]) == 0


def test_separability_is_that_of_the_fitted_densities():
    rng = np.random.default_rng(0)
    scores, correct = np.r_[rng.normal(2, 1, 300), rng.normal(-1, 2, 200)], np.arange(500) < 300
    right, wrong = norm(*norm.fit(scores[correct])), norm(*norm.fit(scores[~correct]))

    def kl(p, q):
        return quad(lambda x: p.pdf(x) * (p.logpdf(x) - q.logpdf(x)), -20, 20)[0]

    overlap = quad(lambda x: math.sqrt(right.pdf(x) * wrong.pdf(x)), -20, 20)[0]
    mean_kl, bhattacharyya = separability(scores, correct)
    assert mean_kl == pytest.approx((kl(right, wrong) + kl(wrong, right)) / 2, rel=1e-6)
    assert bhattacharyya == pytest.approx(-math.log(overlap), rel=1e-6)


def test_separability_of_one_wrong_answer_among_many_is_undefined():
    scores = np.random.default_rng(0).normal(size=10_000)
    assert np.isnan(separability(scores, np.arange(10_000) != 17)).all()


def test_separability_does_not_depend_on_where_zero_is():
    scores, correct = np.array([4.0, 6, 0, 4]), [True, True, False, False]
    assert separability(scores + 1e6, correct) == pytest.approx(separability(scores, correct))


@pytest.mark.parametrize("correct", [[True] * 4, [True, True, True, False]], ids=["none wrong", "one wrong"])
@pytest.mark.parametrize("scores", [[0.1, 0.2, 0.6, 0.7], [0.7] * 4], ids=["spread", "equal"])
def test_separability_needs_two_distinct_scores_of_each_kind(scores, correct):
    assert np.isnan(separability(scores, correct)).all()


@pytest.mark.parametrize("measure", TIE_INVARIANT.values(), ids=TIE_INVARIANT)
@given(answers=answer_lists, seed=st.integers(0, 2**32))
def test_order_of_the_answers_does_not_matter(measure, answers, seed):
    confidence, correct = answers
    order = np.random.default_rng(seed).permutation(len(correct))
    shuffled = measure(confidence[order], correct[order])
    assert shuffled == pytest.approx(measure(confidence, correct), rel=1e-9, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize(
    ("right", "values"),
    [
        (True, {"aurc": 0, "augrc": 0, "ece": 0.3, "brier_score": 0.09, "nll": -math.log(0.7)}),
        (False, {"aurc": 1, "augrc": 1 / 2, "ece": 0.7, "brier_score": 0.49, "nll": -math.log(0.3)}),
    ],
    ids=["right", "wrong"],
)
def test_one_answer_is_enough_where_nothing_is_ranked(right, values):
    measured = {name: TIE_INVARIANT[name]([0.7], [right]) for name in values}
    assert measured == pytest.approx(values)


def test_lists_of_different_length_are_refused():
    with pytest.raises(ValueError, match=r"\(2,\) and correct \(1,\)"):
        auroc([0.1, 0.2], [True])


def test_empty_lists_are_refused():
    with pytest.raises(ValueError, match="non-empty"):
        brier_score([], [])


def test_nan_is_refused_with_its_number():
    with pytest.raises(ValueError, match="2 of 3 confidences are NaN"):
        aurc([0.1, np.nan, np.nan], [True, False, True])


def test_half_correct_answers_are_refused():
    with pytest.raises(ValueError, match="2 of 3 values of correct are neither 0 nor 1"):
        auroc([0.1, 0.2, 0.3], [1, 0.5, np.nan])
