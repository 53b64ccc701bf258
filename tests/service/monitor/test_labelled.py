"""What labels show, against the arithmetic, and that reviewers who choose do not bend it."""

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from service.journal.records import LabelledColumns
from service.monitor.figures import Figures, effective_number, weighted_mean
from service.monitor.labelled import LabelledWindow
from service.monitor.window import Observations, Sums
from trust.manifest import Threshold

PROMISE = Threshold(value=0.6, statement="at most 10 % are wrong", risk=0.1)


def columns(confidence, correct, **others) -> LabelledColumns:
    """Labelled answers that say class 0 and are right or not."""
    n = len(confidence)
    values = {
        "answered_at": np.zeros(n),
        "received_at": np.full(n, 60.0),
        "target": np.where(correct, 0, 1),
        "predicted": np.zeros(n, int),
        "confidence": np.asarray(confidence, float),
        "trust": np.full(n, 0.8),
        "threshold": np.full(n, 0.6),
        "trusted": np.ones(n, bool),
        "question_answer_estimate": np.full(n, 0.7),
        "novelty": np.full(n, np.nan),
        "sampling_probability": np.ones(n),
        "head_inputs": np.zeros((n, 2), np.float32),
        "complete": True,
    }
    return LabelledColumns(**{**values, **others})


def sums_of(estimates) -> Sums:
    """Answers of these expected question-answer trusts."""
    n = len(estimates)
    columns = [np.zeros(n), np.zeros(n, int), np.ones(n, bool), np.full(n, 0.8), np.full(n, 0.8)]
    return Sums.of(2, Observations(*columns, np.array(estimates), np.full(n, np.nan), np.full(n, np.nan)))


def window(labelled: LabelledColumns, minimum: int = 2) -> LabelledWindow:
    return LabelledWindow(labelled, 1.0, 1.0, Figures(minimum))


def test_prediction_powered_estimate_is_that_of_the_check_value():
    # Estimates .8 .7 .9 .6 .75 .85; the 1st is right at confidence .9 (Q .9), the 4th wrong at .8 (Q .2).
    labelled = columns([0.9, 0.8], [True, False], question_answer_estimate=np.array([0.8, 0.6]))
    labels = window(labelled).labels(sums_of([0.8, 0.7, 0.9, 0.6, 0.75, 0.85]), PROMISE)
    figure = labels.net_trust_score_prediction_powered
    assert figure.value == pytest.approx(0.616667, abs=1e-6)
    assert figure.low == pytest.approx(0.616667 - norm.ppf(0.975) * 0.253859, abs=1e-5)


def test_without_sampling_probabilities_every_share_is_the_plain_one():
    correct = np.array([True] * 27 + [False] * 3)
    labels = window(columns(np.full(30, 0.9), correct)).labels(sums_of([0.7] * 60), PROMISE)
    wilson = binomtest(3, 30).proportion_ci(method="wilson")
    assert labels.risk.value == pytest.approx(0.1)
    assert (labels.risk.low, labels.risk.high) == (pytest.approx(wilson.low), pytest.approx(wilson.high))
    assert labels.accuracy.value == pytest.approx(0.9)
    assert labels.coverage.value == 0.5
    assert labels.lag_seconds.value == 60
    assert labels.promise.state == "kept"


def test_label_counts_for_as_many_answers_as_its_sampling_probability_says():
    # Two looked at for certain and one of eight: weights 1, 1, 8.
    probability = np.array([1.0, 1.0, 0.125])
    labels = window(columns([0.9, 0.9, 0.6], [False, False, True], sampling_probability=probability)).labels(
        sums_of([0.7] * 10), PROMISE
    )
    assert labels.accuracy.value == pytest.approx(0.8)
    assert labels.net_trust_score.value == pytest.approx((0.1 + 0.1 + 8 * 0.6) / 10)
    assert labels.confidence_wrong.value == pytest.approx(0.9)
    assert labels.calibration_gap.value == pytest.approx((2 * (0 - 0.8) + 8 * (1 - 0.8)) / 10)


def test_figures_of_all_answers_are_unbiased_where_reviewers_prefer_doubtful_ones():
    generator = np.random.default_rng(1)
    answers = 5000
    trust = generator.beta(4, 1, answers)
    confidence = generator.uniform(0.5, 1, answers)
    # The oracle is too sure of itself: a tenth fewer are right than it says.
    correct = generator.random(answers) < 0.9 * trust
    realised = np.where(correct, confidence, 1 - confidence)
    estimates = trust * confidence + (1 - trust) * (1 - confidence)
    probability = np.where(trust < 0.8, 0.5, 0.05)
    live = sums_of(estimates)
    found, naive = [], []
    for _ in range(100):
        chosen = generator.random(answers) < probability
        rows = {
            "trust": trust[chosen],
            "question_answer_estimate": estimates[chosen],
            "sampling_probability": probability[chosen],
        }
        labels = window(columns(confidence[chosen], correct[chosen], **rows)).labels(live, PROMISE)
        found.append(
            [labels.net_trust_score_prediction_powered.value, labels.net_trust_score.value, labels.accuracy.value]
        )
        naive.append([realised[chosen].mean(), correct[chosen].mean()])
    truth = np.array([realised.mean(), realised.mean(), correct.mean()])
    errors = np.std(found, axis=0, ddof=1) / 10
    assert np.abs(np.mean(found, axis=0) - truth).max() < 0.003
    assert (np.abs(np.mean(found, axis=0) - truth) < 4 * errors).all()
    # Labels taken as they come say far less than is so; the label-free estimate says more.
    assert (np.mean(naive, axis=0) < truth[1:] - 0.05).all()
    assert estimates.mean() > truth[0] + 0.02


def test_too_few_labels_have_no_figure():
    labels = window(columns([0.9] * 5, [True] * 5), minimum=6).labels(sums_of([0.7] * 50), PROMISE)
    assert (labels.labelled, labels.risk.state, labels.risk.value) == (5, "insufficient data", None)
    assert labels.promise.state == "insufficient data"
    assert labels.net_trust_score_prediction_powered.value is None


def test_no_label_at_all_is_no_error():
    labels = window(columns([], np.array([], bool))).labels(sums_of([0.7] * 50), PROMISE)
    assert labels.labelled == 0
    assert labels.coverage.value == 0


def test_more_labels_than_answers_remembered_is_a_coverage_of_one():
    assert window(columns([0.9] * 5, [True] * 5)).labels(sums_of([0.7] * 3), PROMISE).coverage.value == 1


def test_equal_weights_give_the_plain_mean_and_its_error():
    values = [0.2, 0.4, 0.9, 0.5]
    found = weighted_mean(values, [3.0] * 4)
    assert found.value == pytest.approx(np.mean(values))
    assert found.standard_error == pytest.approx(np.std(values, ddof=1) / 2)
    assert effective_number([3.0] * 4) == pytest.approx(4)
