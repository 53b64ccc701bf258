"""Measures of a trust score against values worked out by hand and published reference values."""

import math

import numpy as np
import pytest

from training.metrics import aupr_error, aupr_success, aurc, auroc, ece, fpr_at_95_tpr, tpr_tnr

ALTERNATING = np.array([False, True] * 50)


def test_aurc_of_rising_confidence_is_fd_shifts_value():
    assert aurc(np.linspace(0, 1, 100), ALTERNATING) == pytest.approx(0.48281112575762547, abs=1e-12)


def test_aurc_of_constant_confidence_is_the_error_rate():
    assert aurc(np.full(100, 0.7), ALTERNATING) == pytest.approx(0.5)


def test_aurc_does_not_depend_on_the_order_of_ties():
    confidence = np.repeat([0.9, 0.5], 50)
    order = np.random.default_rng(0).permutation(100)
    assert aurc(confidence, ALTERNATING) == pytest.approx(aurc(confidence[order], ALTERNATING[order]), abs=1e-12)


def test_aurc_by_hand():
    # Falling confidence: right, wrong. Risk 0 at coverage 1/2, 1/2 at 1: area 0 + (0 + 1/2) / 2 * 1/2.
    assert aurc([0.9, 0.1], [True, False]) == pytest.approx(0.125)


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


def test_ece_of_honest_probabilities_is_zero():
    assert ece([0.75] * 4, [True, True, True, False]) == pytest.approx(0)


def test_ece_weights_bins_by_their_counts():
    # Three of four answers say .9 and are wrong, one says .1 and is wrong.
    assert ece([0.9, 0.9, 0.9, 0.1], [False] * 4) == pytest.approx(0.75 * 0.9 + 0.25 * 0.1)


def test_trust_at_the_threshold_counts_as_trusted():
    assert tpr_tnr([0.5, 0.4], [True, False], threshold=0.5) == (1.0, 1.0)


@pytest.mark.parametrize("measure", [auroc, aupr_error, aupr_success, fpr_at_95_tpr])
def test_ranking_without_errors_is_undefined(measure):
    assert math.isnan(measure([0.5, 0.6], [True, True]))


def test_lists_of_different_length_are_refused():
    with pytest.raises(ValueError, match=r"\(2,\) and correct \(1,\)"):
        auroc([0.1, 0.2], [True])
