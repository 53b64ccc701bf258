"""Post-hoc scores by hand, against scipy, and what fitting them may and may not change."""

import numpy as np
import pytest
from scipy.stats import entropy

from training.metrics.ranking import auroc
from training.scores.posthoc import NORM_ORDERS, fit_p_norm
from trust.posthoc import doctor, energy, margin, max_logit, max_softmax, negative_entropy, p_norm_max_logit


def answers(seed, count=4000, classes=5):
    """Logits of a classifier that is right as often as its softmax says, and whether it is."""
    draw = np.random.default_rng(seed)
    logits = draw.normal(0, 2, (count, classes)).astype(np.float32)
    return logits, draw.random(count) < max_softmax(logits)


LOGITS = np.log(np.array([[0.6, 0.3, 0.1], [0.2, 0.2, 0.6]]))


def test_scores_of_two_answers_by_hand():
    assert max_softmax(LOGITS) == pytest.approx([0.6, 0.6])
    assert margin(LOGITS) == pytest.approx([0.3, 0.4])
    assert max_logit(LOGITS) == pytest.approx(np.log([0.6, 0.6]))
    assert energy(LOGITS + 2) == pytest.approx([2, 2])
    # g = .36 + .09 + .01 = .46 and .36 + .04 + .04 = .44
    assert doctor(LOGITS) == pytest.approx([-0.54 / 0.46, -0.56 / 0.44])


def test_entropy_is_scipys():
    assert negative_entropy(LOGITS) == pytest.approx(-entropy(np.exp(LOGITS), axis=1))


@pytest.mark.parametrize("order", NORM_ORDERS)
def test_p_norm_does_not_see_a_shift_nor_a_scale(order):
    logits, _ = answers(0, count=50)
    assert p_norm_max_logit(3 * logits + 7, order) == pytest.approx(p_norm_max_logit(logits, order), abs=1e-5)


def test_equal_logits_divide_by_nothing():
    assert p_norm_max_logit(np.ones((1, 4)), 2.0).tolist() == [0.0]


def test_p_norm_stands_back_where_softmax_ranks_better():
    logits, correct = answers(5)
    # Correctness was drawn from softmax itself: no other ranking can be better but by chance.
    fitted = fit_p_norm(logits, correct)
    if fitted.order is None:
        assert np.array_equal(fitted(logits), max_softmax(logits))
    else:
        assert auroc(fitted(logits), correct) > auroc(max_softmax(logits), correct)


def test_p_norm_mends_a_confidence_that_grows_with_the_wrong_thing():
    # Wrong answers have logits ten times too large: softmax is surest there, the norm takes it out.
    draw = np.random.default_rng(6)
    correct = draw.random(2000) < 0.7
    shape = np.where(correct[:, None], [3.0, 0.0, 0.0], [2.0, 1.5, 0.0])
    logits = (shape + draw.normal(0, 0.1, shape.shape)) * np.where(correct, 1.0, 10.0)[:, None]
    fitted = fit_p_norm(logits.astype(np.float32), correct)
    assert fitted.order is not None
    assert auroc(fitted(logits), correct) > 0.99
