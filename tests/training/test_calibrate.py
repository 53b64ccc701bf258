"""Calibration against a world whose probabilities are known."""

import numpy as np
import pytest

from training.calibrate import fit_temperature, fit_trust_head
from training.metrics.calibration import ece
from training.metrics.ranking import auroc
from trust.head import sigmoid, trust_probability

CLASSES = 2


def world(seed, novelty, classifier_knows, oracle_knows, count=6000):
    """Answers whose log-odds of being right are a known sum of what both networks say."""
    draw = np.random.default_rng(seed)
    lmp, own = np.abs(draw.normal(0, 2, count)), draw.normal(0, 2, count)
    probability = sigmoid(classifier_knows * lmp + oracle_knows * own)
    outputs = {
        "logits": np.stack([lmp, np.zeros(count)], 1).astype(np.float32),
        "oracle_class_logits": np.stack([own, np.zeros(count)], 1).astype(np.float32),
        "oracle_logit": np.zeros(count, np.float32),
        "novelty": np.full(count, novelty, np.float32),
    }
    return outputs, draw.random(count) < probability, probability


INPUTS = ("own_log_odds", "confidence_log_odds", "oracle_logit")


@pytest.fixture(scope="module")
def head():
    clean, corrupted = world(0, novelty=-1.0, classifier_knows=1.0, oracle_knows=0.0), world(1, 6.0, 0.0, 1.0)
    return fit_trust_head(INPUTS, clean[:2], corrupted[:2], clean_weight=1.0)


def test_head_finds_whom_to_believe_where(head):
    own, confidence, _ = head.weights
    assert (own, confidence) == pytest.approx((0, 1), abs=0.15)
    own, confidence, _ = head.gate.weights
    assert (own, confidence) == pytest.approx((1, 0), abs=0.15)


@pytest.mark.parametrize(("novelty", "believed"), [(-1.0, (1.0, 0.0)), (6.0, (0.0, 1.0))], ids=["familiar", "novel"])
def test_trust_is_the_probability_of_being_right_on_new_answers(head, novelty, believed):
    outputs, correct, probability = world(7, novelty, *believed)
    trust = trust_probability(head, outputs)
    assert np.abs(trust - probability).mean() < 0.02
    assert ece(trust, correct) < 0.025
    assert auroc(trust, correct) == pytest.approx(auroc(probability, correct), abs=0.01)


def test_calibration_is_monotone_and_never_certain(head):
    assert list(head.calibration.trust) == sorted(head.calibration.trust)
    assert head.calibration.trust[0] > 0
    assert head.calibration.trust[-1] < 1


def test_answers_that_are_all_right_teach_nothing():
    outputs, correct, _ = world(3, 0.0, 1.0, 0.0, count=50)
    with pytest.raises(ValueError, match="all 100 calibration answers are right; give more"):
        fit_trust_head(INPUTS, (outputs, np.ones_like(correct)), (outputs, np.ones_like(correct)), 1.0)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_temperature_undoes_a_known_sharpening(temperature):
    draw = np.random.default_rng(5)
    logits = draw.normal(0, 2, (20_000, 4))
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    targets = (probabilities.cumsum(1) > draw.random((20_000, 1))).argmax(1)
    found = fit_temperature((temperature * logits).astype(np.float32), targets)
    assert found == pytest.approx(temperature, rel=0.05)
