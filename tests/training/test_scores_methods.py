"""The registry of methods: which are there, that each is a probability in its own order, and that it holds."""

import numpy as np
import pytest

from training.answers import Answers
from training.scores.fitting import fit_methods
from training.scores.methods import (
    CLASS_HEAD,
    CLASSIFIER_METHODS,
    ORACLE_LOGIT,
    ORACLE_METHODS,
    SOFTMAX,
    TEMPERATURE_SCALED,
    TRUST,
    trust_method,
)
from training.scores.platt import Platt, fit_platt
from trust.head import TrustHead, trust_probability
from trust.posthoc import max_softmax

METHODS = (*CLASSIFIER_METHODS, *ORACLE_METHODS)
HEAD = TrustHead(inputs=("oracle_logit",), weights=(0.5,), bias=0.1)


def answers(seed, count=3000, classes=4, passes=5):
    """All named outputs of a classifier that is right as often as its softmax says."""
    draw = np.random.default_rng(seed)
    logits = draw.normal(0, 2, (count, classes))
    cumulated = np.exp(logits).cumsum(1)
    targets = (cumulated < draw.random((count, 1)) * cumulated[:, -1:]).sum(1)

    def noisy(*shape):
        return (logits.reshape(count, *(1,) * (len(shape) - 1), classes) + draw.normal(0, 0.5, (count, *shape))).astype(
            np.float32
        )

    outputs = {
        "logits": logits.astype(np.float32),
        "probabilities": (np.exp(logits) / cumulated[:, -1:]).astype(np.float32),
        "features": np.hstack([noisy(classes), noisy(classes)]),
        "flipped_logits": noisy(classes),
        "dropout_logits": noisy(passes, classes),
        "ensemble_logits": noisy(passes, classes),
        "odin": (0.25 + 1e-4 * noisy(classes).max(1)).astype(np.float32),
        "oracle_logit": noisy(classes).max(1),
        "oracle_class_logits": noisy(classes),
    }
    return Answers(outputs, targets)


@pytest.fixture(scope="module")
def fitted():
    return fit_methods(answers(0), answers(1), METHODS)


def test_every_method_whose_outputs_are_there_scores_every_answer(fitted):
    scores = fitted(answers(2).outputs)
    assert list(scores) == [method.name for method in METHODS]
    for name, score in scores.items():
        assert score.shape == (3000,), name
        assert ((score >= 0) & (score <= 1)).all(), name


def test_every_method_keeps_its_own_order(fitted):
    outputs = answers(2).outputs
    for method in fitted.fitted:
        # Rounding to a probability may tie what was apart, never turn it round.
        assert (np.diff(method(outputs)[np.argsort(method.score(outputs))]) >= 0).all(), method.method.name


def test_every_scaled_method_is_right_on_average_on_new_answers(fitted):
    fresh = answers(3)
    for name, probability in fitted(fresh.outputs).items():
        assert probability.mean() == pytest.approx(fresh.correct.mean(), abs=0.03), name


def test_plain_and_temperature_scaled_softmax_are_left_as_they_are(fitted):
    outputs = answers(2).outputs
    assert np.array_equal(fitted(outputs)[SOFTMAX], max_softmax(outputs["logits"]))
    assert np.array_equal(fitted(outputs)[TEMPERATURE_SCALED], outputs["probabilities"].max(1))


def test_method_whose_outputs_are_absent_is_left_out(fitted):
    only = {"logits": answers(2).outputs["logits"]}
    names = {method.name for method in METHODS if method.needs == {"logits"}}
    assert fitted(only).keys() == names
    assert fit_methods(None, Answers(only, answers(2).targets), METHODS)(answers(2).outputs).keys() == names


def test_without_reference_images_only_the_methods_fitted_on_them_are_left_out():
    names = fit_methods(None, answers(1), METHODS)(answers(2).outputs).keys()
    assert {method.name for method in METHODS} - names == {
        *(f"SIRC ({name})" for name in ("softmax, L1 norm", "softmax, residual", "entropy, L1 norm")),
        "SIRC (entropy, residual)",
        "Mahalanobis",
        "ViM",
        "kNN",
        "Trust Score",
    }


def test_rows_of_an_oracle_end_with_the_trust_probability_as_served():
    rows = fit_methods(None, answers(1), (*ORACLE_METHODS, trust_method(HEAD)))(answers(2).outputs)
    assert list(rows) == [ORACLE_LOGIT, CLASS_HEAD, TRUST]
    assert np.array_equal(rows[TRUST], trust_probability(HEAD, answers(2).outputs))


@pytest.mark.parametrize("state", ["right", "wrong"])
def test_calibration_answers_all_of_one_kind_are_refused(state):
    outputs = answers(1).outputs
    targets = outputs["logits"].argmax(1) if state == "right" else outputs["logits"].argmin(1)
    with pytest.raises(ValueError, match=f"all 3000 calibration answers are {state}"):
        fit_methods(None, Answers(outputs, targets), METHODS)


def test_names_are_one_row_each_and_every_method_has_one_way_to_score():
    assert len({method.name for method in METHODS}) == len(METHODS)
    for method in METHODS:
        ways = (method.score, method.fit_on_calibration, method.fit_on_reference)
        assert sum(way is not None for way in ways) == 1, method.name


def test_scores_far_below_all_that_was_calibrated_stay_apart():
    near, far, farthest = Platt(slope=1.0, intercept=0.0)(np.array([-50.0, -500.0, -700.0]))
    assert near > far > farthest > 0


def test_score_that_does_not_vary_becomes_the_share_of_right_answers():
    correct = np.array([True, True, True, False] * 25)
    assert fit_platt(np.full(100, 3.0), correct)(np.full(5, 3.0)) == pytest.approx(np.full(5, 0.75), abs=1e-4)
