"""The trust head against its formula, worked out by hand."""

import numpy as np
import pytest
from pydantic import ValidationError

from trust.head import Calibration, NoveltyGate, TrustHead, decide, log_odds, sigmoid, trust_probability

LN3 = np.log(3.0)
OUTPUTS = {
    # Log-odds of the answer: ln 3 in the first row (3 to 1), ln 3 for class 1 in the second.
    "logits": [[LN3, 0.0], [0.0, LN3]],
    # The oracle's log-odds of the same classes: 2 and -1.
    "oracle_class_logits": [[2.0, 0.0], [0.0, -1.0]],
    "oracle_logit": [0.5, -0.5],
    "novelty": [-100.0, 100.0],
}


def head(**changes):
    return TrustHead(**{"inputs": ("confidence_log_odds",), "weights": (1.0,), "bias": 0.0, **changes})


def test_confidence_alone_gives_the_classifiers_own_probability():
    np.testing.assert_allclose(trust_probability(head(), OUTPUTS), [0.75, 0.75])


def test_inputs_are_weighted_and_summed():
    # Second row: 2 ln 3 + 3 (-1) + 4 (-.5) + 1.
    three = head(inputs=("confidence_log_odds", "own_log_odds", "oracle_logit"), weights=(2.0, 3.0, 4.0), bias=1.0)
    expected = [2 * LN3 + 3 * 2 + 4 * 0.5 + 1, 2 * LN3 - 3 - 2 + 1]
    np.testing.assert_allclose(trust_probability(three, OUTPUTS), 1 / (1 + np.exp(-np.array(expected))))


def test_oracles_log_odds_are_those_of_the_classifiers_answer():
    # The oracle prefers class 0 in both rows; the classifier answers 1 in the second.
    own = head(inputs=("own_log_odds",))
    np.testing.assert_allclose(trust_probability(own, OUTPUTS), sigmoid([2.0, -1.0]))


def test_gate_chooses_the_weights_by_novelty():
    gate = NoveltyGate(midpoint=0.0, steepness=1.0, weights=(-2.0,), bias=0.25)
    gated = head(weights=(1.0,), bias=0.5, gate=gate)
    # Familiar: 1 ln 3 + .5; novel: -2 ln 3 + .25 + .5.
    expected = sigmoid([LN3 + 0.5, -2 * LN3 + 0.75])
    np.testing.assert_allclose(trust_probability(gated, OUTPUTS), expected)


def test_gate_at_its_midpoint_takes_half_of_both():
    gate = NoveltyGate(midpoint=3.0, steepness=5.0, weights=(3.0,), bias=1.0)
    halves = trust_probability(head(gate=gate), {**OUTPUTS, "novelty": [3.0, 3.0]})
    np.testing.assert_allclose(halves, sigmoid([0.5 * LN3 + 0.5 * (3 * LN3 + 1)] * 2))


@pytest.mark.parametrize(
    ("logit", "expected"),
    [(-9.0, 0.1), (-1.0, 0.1), (0.0, 0.3), (1.0, 0.5), (1.5, 0.7), (9.0, 0.9)],
)
def test_calibration_is_linear_between_knots_and_flat_outside(logit, expected):
    calibration = Calibration(logits=(-1.0, 1.0, 2.0), trust=(0.1, 0.5, 0.9))
    plain = head(inputs=("oracle_logit",), calibration=calibration)
    trust = trust_probability(plain, {"logits": [[0.0, 0.0]], "oracle_logit": [logit]})
    assert trust == pytest.approx([expected])


def test_blend_mixes_calibration_and_sigmoid():
    calibration = Calibration(logits=(-1.0, 1.0), trust=(0.2, 0.6), blend=0.25)
    blended = head(calibration=calibration)
    # ln 3 is above the last knot: .75 * .6 + .25 * .75.
    np.testing.assert_allclose(trust_probability(blended, OUTPUTS), [0.75 * 0.6 + 0.25 * 0.75] * 2)


def test_trust_is_a_probability_whatever_the_logits():
    logits = np.array([[1e4, -1e4], [-1e4, 1e4], [0.0, 0.0]], np.float32)
    trust = trust_probability(head(weights=(50.0,)), {"logits": logits})
    assert ((trust >= 0) & (trust <= 1)).all()


def test_log_odds_do_not_cancel_near_certainty():
    # p = 1 - 1e-9 is 1 in float32, its log-odds ln(1e9) = 20.7 are not: clipped at 12, not infinite.
    assert log_odds(np.array([[11.5, 0.0], [20.7, 0.0]], np.float32), [0, 0]).tolist() == pytest.approx([11.5, 12.0])


def test_log_odds_of_one_class_among_three():
    # Softmax of ln 2, 0, ln 3 is 2/6, 1/6, 3/6: odds 1/2, 1/5, 1.
    rows = [[np.log(2), 0.0, np.log(3)]] * 3
    np.testing.assert_allclose(log_odds(rows, [0, 1, 2]), np.log([1 / 2, 1 / 5, 1]), atol=1e-12)


def test_decision_trusts_from_the_threshold_on():
    assert decide([0.59, 0.6, 0.61], 0.6).tolist() == [False, True, True]


def test_needs_name_the_outputs_that_are_read():
    gate = NoveltyGate(midpoint=0.0, steepness=1.0, weights=(1.0, 1.0), bias=0.0)
    both = head(inputs=("own_log_odds", "oracle_logit"), weights=(1.0, 1.0), gate=gate)
    assert head().needs == {"logits"}
    assert both.needs == {"logits", "oracle_class_logits", "oracle_logit", "novelty"}


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (lambda: head(weights=(1.0, 2.0)), "2 weights for 1 inputs"),
        (lambda: head(gate=NoveltyGate(midpoint=0, steepness=1, weights=(), bias=0)), "0 weights for 1 inputs"),
        (lambda: Calibration(logits=(0.0, 1.0), trust=(0.5,)), "2 knots but 1 values"),
        (lambda: Calibration(logits=(1.0, 0.0), trust=(0.1, 0.5)), "must ascend"),
        (lambda: Calibration(logits=(0.0, 1.0), trust=(0.5, 0.4)), "must not fall"),
        (lambda: Calibration(logits=(0.0, 1.0), trust=(0.5, 1.5)), "outside"),
        (lambda: NoveltyGate(midpoint=0, steepness=0, weights=(1.0,), bias=0), "greater than 0"),
    ],
)
def test_numbers_that_make_no_head_are_refused(broken, words):
    with pytest.raises(ValidationError, match=words):
        broken()


def test_head_without_an_oracle_reads_one_score_of_the_logits():
    # Softmax of ln 3, 0 is 3/4, 1/4: a margin of one half.
    np.testing.assert_allclose(trust_probability(head(inputs=("margin",), weights=(4.0,)), OUTPUTS), sigmoid([2.0] * 2))


def test_scaled_confidence_divides_the_logits_first():
    halved = head(inputs=("scaled_confidence_log_odds",), temperature=2.0)
    np.testing.assert_allclose(trust_probability(halved, OUTPUTS), sigmoid([LN3 / 2] * 2))


def test_p_norm_takes_the_heads_order():
    # Centred logits are +-ln 3 / 2: the largest over the sum of both is 1/2.
    summed = head(inputs=("p_norm_max_logit",), norm_order=1.0)
    np.testing.assert_allclose(trust_probability(summed, OUTPUTS), sigmoid([0.5] * 2))
    with pytest.raises(ValidationError, match="needs a norm_order"):
        head(inputs=("p_norm_max_logit",))


def test_decision_may_have_a_threshold_for_each_answer():
    assert decide([0.7, 0.7], [0.6, 0.8]).tolist() == [True, False]
