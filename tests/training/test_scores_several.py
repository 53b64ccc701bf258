"""Scores of several passes: by hand, against scipy, and where all passes agree."""

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import entropy

from training.scores.several import (
    flip_confidence,
    mean_probability,
    negative_mutual_information,
    negative_predictive_entropy,
)
from trust.posthoc import max_softmax, negative_entropy

PASSES = np.random.default_rng(0).normal(0, 3, (20, 7, 4)).astype(np.float32)
PROBABILITIES = softmax(PASSES.astype(float), axis=2)
EQUAL = np.repeat(PASSES[:, :1], 5, axis=1)


def test_mean_probability_is_that_of_the_given_answer_even_where_the_passes_prefer_another():
    passes = np.log([[[0.6, 0.4], [0.2, 0.8], [0.1, 0.9]]])
    assert mean_probability(passes, [0]) == pytest.approx([(0.6 + 0.2 + 0.1) / 3])


def test_entropy_of_the_mean_is_scipys():
    assert negative_predictive_entropy(PASSES) == pytest.approx(-entropy(PROBABILITIES.mean(1), axis=1))


def test_mutual_information_is_entropy_of_the_mean_less_mean_entropy():
    information = entropy(PROBABILITIES.mean(1), axis=1) - entropy(PROBABILITIES, axis=2).mean(1)
    assert negative_mutual_information(PASSES) == pytest.approx(-information)


def test_equal_passes_say_what_one_says():
    logits = PASSES[:, 0]
    assert mean_probability(EQUAL, logits.argmax(1)) == pytest.approx(max_softmax(logits))
    assert negative_predictive_entropy(EQUAL) == pytest.approx(negative_entropy(logits))
    assert negative_mutual_information(EQUAL) == pytest.approx(0, abs=1e-14)


def test_very_sure_passes_give_numbers():
    sure = np.array([[[1000.0, 0.0], [1000.0, 0.0]]])
    assert negative_predictive_entropy(sure).tolist() == [0.0]
    assert negative_mutual_information(sure).tolist() == [0.0]


def test_flip_confidence_judges_the_answer_to_the_image_not_to_its_mirror_image():
    assert flip_confidence(np.log([[0.7, 0.3]]), np.log([[0.1, 0.9]])) == pytest.approx([(0.7 + 0.1) / 2])
