"""The threshold's promise, tested by drawing again and again from a population whose error rates are known."""

import numpy as np
import pytest

from training.threshold import choose_threshold, choose_thresholds_by_class, error_upper_bound

RISK, CONFIDENCE = 0.05, 0.9


def test_upper_bound_of_five_errors_in_a_hundred_is_clopper_pearsons():
    assert error_upper_bound(5, 100, 0.95) == pytest.approx(0.102253, abs=1e-6)


def test_upper_bound_without_errors_has_a_closed_form():
    assert error_upper_bound(0, 50, 0.95) == pytest.approx(1 - 0.05 ** (1 / 50))


def test_upper_bound_of_nothing_but_errors_is_one():
    assert error_upper_bound(3, 3, 0.95) == 1.0


def test_promise_is_broken_no_more_often_than_it_says():
    # Trust is uniform on [0, 1] and honest: above t the error rate is the mean of 1 - u over u >= t, (1 - t) / 2.
    draw = np.random.default_rng(0)
    broken, promised, draws = 0, 0, 1000
    for _ in range(draws):
        trust = draw.random(4000)
        found = choose_threshold(trust, draw.random(4000) < trust, RISK, CONFIDENCE)
        if found.risk is not None:
            promised += 1
            broken += (1 - found.value) / 2 > RISK
    assert promised > draws / 2
    # Binomial: three standard deviations above the allowed share.
    allowed = 1 - CONFIDENCE
    assert broken / draws <= allowed + 3 * (allowed * CONFIDENCE / draws) ** 0.5


def test_threshold_is_not_needlessly_strict():
    # At t = 0.9 the true risk is exactly 5 %; with 50,000 images the bound must come close to it.
    draw = np.random.default_rng(1)
    trust = draw.random(50_000)
    found = choose_threshold(trust, draw.random(50_000) < trust, RISK, CONFIDENCE)
    assert 0.9 < found.value < 0.93
    assert found.coverage == pytest.approx(1 - found.value, abs=0.01)


def test_hopeless_answers_get_a_threshold_without_a_promise():
    found = choose_threshold(np.full(1000, 0.99), np.arange(1000) % 2 == 0, RISK, CONFIDENCE)
    assert found.risk is None
    assert found.value == 1 - RISK
    assert "No threshold keeps at most 5.0% wrong" in found.statement


def test_too_few_images_promise_nothing():
    found = choose_threshold(np.ones(40), np.ones(40, bool), RISK, CONFIDENCE)
    assert found.risk is None
    assert "on the 40 images at hand" in found.statement


def test_each_class_has_the_threshold_that_its_own_answers_allow():
    # Class 0 is always right, class 1 right where trust is above one half, class 2 never.
    draw = np.random.default_rng(2)
    trust, predicted = draw.random(3000), np.repeat([0, 1, 2], 1000)
    correct = (predicted == 0) | ((predicted == 1) & (trust > 0.5))
    found = choose_thresholds_by_class(trust, correct, predicted, 3, RISK, CONFIDENCE)
    # At t in class 1 the error rate is (.5 - t) / (1 - t) below one half: 5 % at .474.
    assert found.by_class[0] < 0.01
    assert 0.47 < found.by_class[1] < 0.52
    assert found.by_class[2] == 1.0
    assert found.value == found.by_class[0]
    assert "none of 1 of the 3 classes" in found.statement


def test_class_without_an_answer_is_never_trusted():
    found = choose_thresholds_by_class(np.ones(500), np.ones(500, bool), np.zeros(500, int), 2, RISK, CONFIDENCE)
    assert found.by_class[1] == 1.0
