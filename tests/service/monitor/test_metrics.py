"""What Metrics shows of labels, reference, alarms, drift and journal, against arithmetic."""

import asyncio
import math
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import pytest
from prometheus_client import generate_latest
from scipy.stats import ks_2samp, wasserstein_distance

from service.errors import Overloaded
from service.inference.bundle import open_bundle
from service.monitor.labelled_metrics import LabelledAnswer
from service.monitor.metrics import Metrics
from service.monitor.window import Observations
from tests.exposition import samples, series
from tests.tiny import edit_manifest

MODEL = {"model": "tiny", "version": "1.0.0"}
GAUGES = {
    *("trust_model_info", "trust_reference", "trust_reference_cumulative_share", "trust_reference_class_share"),
    *("trust_alarm_level", "trust_alarm_threshold", "trust_alarm_active", "trust_drift", "trust_drift_threshold"),
}
# Q and its estimate for the first and fourth of six answers; the six estimates are .8 .7 .9 .6 .75 .85, mean .766667.
FIRST = LabelledAnswer(
    *("tiny", "1.0.0"), 0, correct=True, trusted=True, trust=0.8, confidence=0.9,
    question_answer=0.9, question_answer_estimate=0.8, weight=1.0, lag_seconds=5.0,
)  # fmt: skip
FOURTH = LabelledAnswer(
    *("tiny", "1.0.0"), 2, correct=False, trusted=False, trust=0.5, confidence=0.8,
    question_answer=0.2, question_answer_estimate=0.6, weight=1.0, lag_seconds=7200.0,
)  # fmt: skip


@pytest.fixture
def bundle(own_bundle):
    return open_bundle(own_bundle)


@pytest.fixture
def process():
    return Metrics(class_series_limit=1000, queue_capacity=1)


@pytest.fixture
def metrics(process, bundle):
    return process.of(bundle, bundle.manifest.threshold)


@pytest.fixture
def scrape(process):
    return lambda: scrape_of(process)


def scrape_of(metrics):
    return samples(generate_latest(metrics.shown).decode())


def sum_of(found, name, **labels):
    return found[series(f"trust_labelled_{name}_sum_total", **labels, **MODEL)]


def weight_of(found, correct, decision="trust"):
    return sum_of(found, "weight", decision=decision, correct=correct)


def answers(trust, class_index=0, question_answer=0.7, p_value=math.nan, image_p_value=math.nan):
    """Trusted answers, one for each trust."""
    columns = np.zeros(len(trust)), np.full(len(trust), class_index), np.ones(len(trust), bool), np.array(trust)
    rest = (np.broadcast_to(value, len(trust)) for value in (0.9, question_answer, p_value, image_p_value))
    return Observations(*columns, *rest)


def test_every_labelled_series_is_there_before_the_first_label(metrics, scrape):
    before = {name: value for name, value in scrape().items() if "labelled" in name[0] or "feedback" in name[0]}
    assert set(before.values()) == {0}
    metrics.labelled(FIRST)
    metrics.labelled(FOURTH)
    metrics.feedback("accepted")
    assert {name for name in scrape() if "labelled" in name[0] or "feedback" in name[0]} == before.keys()


def test_sums_of_labels_give_the_prediction_powered_estimate(metrics, scrape):
    metrics.labelled(FIRST)
    metrics.labelled(FOURTH)
    found = scrape()
    rectifier = (sum_of(found, "weighted_question_answer") - sum_of(found, "weighted_question_answer_estimate")) / (
        weight_of(found, correct="true") + weight_of(found, correct="false", decision="untrust")
    )
    assert 4.6 / 6 + rectifier == pytest.approx(0.616667, abs=1e-6)


def test_weights_of_labels_count_in_each_sum(metrics, scrape):
    metrics.labelled(replace(FIRST, weight=2.0))
    metrics.labelled(replace(FOURTH, weight=4.0))
    found = scrape()
    right, wrong = {"correct": "true"}, {"correct": "false"}
    expected = [
        (weight_of(found, **right), 2),
        (weight_of(found, **wrong, decision="untrust"), 4),
        (weight_of(found, **wrong), 0),
        (sum_of(found, "weight_squares", decision="untrust", **wrong), 4**2),
        (sum_of(found, "weighted_confidence", **right), 2 * 0.9),
        (sum_of(found, "weighted_confidence", **wrong), 4 * 0.8),
        (sum_of(found, "weight_squared_confidence", **wrong), 16 * 0.8),
        (sum_of(found, "weight_squared_confidence_squares", **wrong), 16 * 0.8**2),
        (sum_of(found, "weighted_probability", **right), 2 * 0.8),
        (sum_of(found, "weight_squared_probability", **wrong), 16 * 0.5),
        (sum_of(found, "weighted_question_answer"), 2 * 0.9 + 4 * 0.2),
        (sum_of(found, "weight_squared_question_answer"), 4 * 0.9 + 16 * 0.2),
        (sum_of(found, "weight_squared_question_answer_squares"), 4 * 0.9**2 + 16 * 0.2**2),
        (sum_of(found, "weighted_question_answer_estimate"), 2 * 0.8 + 4 * 0.6),
        (sum_of(found, "weight_squared_question_answer_estimate"), 4 * 0.8 + 16 * 0.6),
        (sum_of(found, "weight_squared_rectifier_squares"), 4 * 0.1**2 + 16 * 0.4**2),
    ]
    for shown, value in expected:
        assert shown == pytest.approx(value)


def test_labels_count_by_decision_correctness_target_and_lag(metrics, scrape):
    metrics.labelled(FIRST)
    metrics.labelled(replace(FOURTH, weight=4.0))
    metrics.labelled(replace(FIRST, lag_seconds=0.5))
    found = scrape()
    expected = {
        series("trust_labelled_total", decision="trust", correct="true", **MODEL): 2,
        series("trust_labelled_total", decision="trust", correct="false", **MODEL): 0,
        series("trust_labelled_total", decision="untrust", correct="false", **MODEL): 1,
        series("trust_class_labelled_total", target="up-left", **MODEL): 2,
        series("trust_class_labelled_total", target="down-left", **MODEL): 1,
        series("trust_class_labelled_weight_sum_total", target="up-left", correct="true", **MODEL): 2,
        series("trust_class_labelled_weight_sum_total", target="down-left", correct="true", **MODEL): 0,
        series("trust_class_labelled_weight_sum_total", target="down-left", correct="false", **MODEL): 4,
        series("trust_class_labelled_weight_squares_sum_total", target="down-left", **MODEL): 16,
        series("trust_class_labelled_weighted_question_answer_sum_total", target="down-left", **MODEL): 4 * 0.2,
        series("trust_label_lag_seconds_bucket", le="1.0", **MODEL): 1,
        series("trust_label_lag_seconds_bucket", le="10.0", **MODEL): 2,
        series("trust_label_lag_seconds_sum", **MODEL): 7205.5,
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_a_label_counts_for_the_version_that_gave_the_answer(metrics, scrape):
    metrics.labelled(replace(FIRST, version="0.9.0"))
    found = scrape()
    labels = {"decision": "trust", "correct": "true"}
    assert found[series("trust_labelled_total", **labels, model="tiny", version="0.9.0")] == 1
    assert found[series("trust_labelled_total", **labels, **MODEL)] == 0


@pytest.fixture
def new(bundle):
    return replace(bundle, manifest=bundle.manifest.model_copy(update={"version": "2.0.0"}))


NEW = {"model": "tiny", "version": "2.0.0"}


def test_two_versions_count_side_by_side(process, metrics, new, scrape):
    newer = process.of(new, new.manifest.threshold)
    metrics.observe(answers([0.8], question_answer=0.7))
    newer.observe(answers([0.5], question_answer=0.4))
    metrics.observe(answers([0.8], question_answer=0.1))
    metrics.alarms(["input"], threshold=5.0)
    newer.alarms(["input"], threshold=5.0)
    newer.alarm("input", level=2.0, active=False)
    metrics.feedback("accepted")
    found = scrape()
    name = "trust_question_answer_sum_total"
    assert (found[series(name, **MODEL)], found[series(name, **NEW)]) == (pytest.approx(0.8), 0.4)
    name = "trust_alarm_level"
    assert (found[series(name, alarm="input", **MODEL)], found[series(name, alarm="input", **NEW)]) == (0, 2)
    name = "trust_feedback_total"
    assert (found[series(name, outcome="accepted", **MODEL)], found[series(name, outcome="accepted", **NEW)]) == (1, 0)
    assert found[series("trust_model_info", provider="CPUExecutionProvider", **MODEL)] == 1
    assert found[series("trust_model_info", provider="CPUExecutionProvider", **NEW)] == 1


def test_label_is_named_among_the_classes_of_the_bundle_it_was_sent_to(process, metrics, bundle, scrape):
    other = bundle.manifest.model_copy(update={"name": "other", "classes": ("hen", "owl", "jay")})
    process.of(replace(bundle, manifest=other), other.threshold)
    metrics.labelled(FIRST)
    assert scrape()[series("trust_class_labelled_total", target="up-left", **MODEL)] == 1


def test_gauges_of_a_closed_bundle_go_away_and_its_counters_stay(process, metrics, new, scrape):
    newer = process.of(new, new.manifest.threshold)
    for each in (metrics, newer):
        each.observe(answers([0.8]))
        each.alarms(["input"], threshold=5.0)
        each.drift("trust", "psi", 0.3, threshold=0.1)
    before = scrape()
    metrics.close()
    # A label that comes late, and raises an alarm.
    metrics.alarm("input", level=6.0, active=True)
    after = scrape()
    gone = {name for name, labels in before.keys() - after.keys()}
    assert gone == GAUGES
    kept = {name for name, labels in after if set(MODEL.items()) <= labels}
    assert not kept & GAUGES
    assert not [key for key in after if set(MODEL.items()) <= key[1] and after[key] != before[key]]
    assert {name for name, labels in after if set(NEW.items()) <= labels} >= GAUGES


def test_version_that_was_opened_twice_keeps_its_gauges_until_both_are_closed(process, metrics, bundle, scrape):
    again = process.of(bundle, bundle.manifest.threshold)
    info = series("trust_model_info", provider="CPUExecutionProvider", **MODEL)
    metrics.close()
    assert scrape()[info] == 1
    again.close()
    assert info not in scrape()
    process.of(bundle, bundle.manifest.threshold)
    assert scrape()[info] == 1


def test_p_values_count_only_where_there_are_some(metrics, scrape):
    metrics.observe(answers([0.8] * 3, p_value=[0.25, 0.5, math.nan]))
    found = scrape()
    assert found[series("trust_novelty_p_value_sum_total", **MODEL)] == 0.75
    assert found[series("trust_novelty_answers_total", **MODEL)] == 2
    assert found[series("trust_image_novelty_answers_total", **MODEL)] == 0


def test_p_values_of_image_novelty_are_counted_by_themselves(metrics, scrape):
    metrics.observe(answers([0.8] * 3, image_p_value=[math.nan, 0.5, 0.125]))
    found = scrape()
    assert found[series("trust_image_novelty_p_value_sum_total", **MODEL)] == 0.625
    assert found[series("trust_image_novelty_answers_total", **MODEL)] == 2
    assert found[series("trust_novelty_answers_total", **MODEL)] == 0


@pytest.mark.usefixtures("metrics")
def test_reference_is_shown_as_the_manifest_has_it(scrape):
    found = scrape()
    assert found[series("trust_reference", statistic="images", **MODEL)] == 100
    assert found[series("trust_reference", statistic="mean_trust_lower", **MODEL)] == 0.8426
    # Of the tiny bundle's reference answers a fifth has trust .5 and confidence .7.
    assert found[series("trust_reference_cumulative_share", score="trust", le="0.45", **MODEL)] == 0
    assert found[series("trust_reference_cumulative_share", score="trust", le="0.5", **MODEL)] == 1 / 5
    assert found[series("trust_reference_cumulative_share", score="confidence", le="0.7", **MODEL)] == 1 / 5
    assert found[series("trust_reference_class_share", predicted="down-left", **MODEL)] == 1 / 5


@pytest.fixture
def full_reference(own_bundle):
    """Six reference images with scores on the bins' edges, and their classes."""
    rows = {"trust": [0.1, 0.4, 0.4, 0.8, 0.9, 1.0], "confidence": [0.5, 0.5, 0.7, 0.9, 0.9, 1.0]}
    np.savez(own_bundle / "reference.npz", **rows, predicted=[0, 0, 0, 1, 2, 2])
    edit_manifest(own_bundle)
    return open_bundle(own_bundle), rows


def test_class_shares_are_those_of_the_reference(full_reference):
    process = Metrics(class_series_limit=1, queue_capacity=1)
    process.of(full_reference[0], full_reference[0].manifest.threshold)
    found = scrape_of(process)
    assert found[series("trust_reference_class_share", predicted="up-left", **MODEL)] == 3 / 6
    assert found[series("trust_reference_class_share", predicted="(other)", **MODEL)] == 3 / 6


def test_live_bins_and_reference_shares_give_ks_and_wasserstein_as_scipy(full_reference, process, scrape):
    bundle, rows = full_reference
    live = [0.1, 0.2, 0.4, 0.55, 0.8]
    process.of(bundle, bundle.manifest.threshold).observe(answers(live))
    found = scrape()
    gaps = []
    for edge in np.arange(1, 21) / 20:
        below = sum(v for n, v in found.items() if n[0] == "trust_probability_bucket" and ("le", f"{edge}") in n[1])
        share = found[series("trust_reference_cumulative_share", score="trust", le=f"{edge}", **MODEL)]
        gaps.append(abs(below / len(live) - share))
    assert max(gaps) == pytest.approx(ks_2samp(live, rows["trust"]).statistic)
    assert sum(gaps) / 20 == pytest.approx(wasserstein_distance(live, rows["trust"]))


def test_alarms_are_shown_quiet_then_as_they_are(metrics, scrape):
    metrics.alarms(["falling_trust", "input"], threshold=5.0)
    metrics.alarm("input", level=5.2, active=True)
    metrics.alarm_raised("input")
    found = scrape()
    expected = {
        series("trust_alarm_threshold", **MODEL): 5,
        series("trust_alarm_level", alarm="input", **MODEL): 5.2,
        series("trust_alarm_active", alarm="input", **MODEL): 1,
        series("trust_alarms_total", alarm="input", **MODEL): 1,
        series("trust_alarm_level", alarm="falling_trust", **MODEL): 0,
        series("trust_alarm_active", alarm="falling_trust", **MODEL): 0,
        series("trust_alarms_total", alarm="falling_trust", **MODEL): 0,
    }
    assert {name: value for name, value in found.items() if name[0].startswith("trust_alarm")} == expected


def test_drift_has_a_threshold_only_where_there_is_one(metrics, scrape):
    metrics.drift("trust", "psi", 0.3, threshold=0.1)
    metrics.drift("trust", "jensen_shannon", 0.2)
    found = scrape()
    assert found[series("trust_drift", score="trust", statistic="psi", **MODEL)] == 0.3
    assert found[series("trust_drift", score="trust", statistic="jensen_shannon", **MODEL)] == 0.2
    thresholds = {name: value for name, value in found.items() if name[0] == "trust_drift_threshold"}
    assert thresholds == {series("trust_drift_threshold", score="trust", statistic="psi", **MODEL): 0.1}


@dataclass
class Counts:
    written: int
    dropped: dict[str, int]
    up: bool


def test_journal_counters_follow_the_journals_own_counts(process, scrape):
    process.journal(Counts(written=3, dropped={"disk_full": 0}, up=True))
    process.journal(Counts(written=5, dropped={"disk_full": 2}, up=False))
    found = scrape()
    assert found[series("trust_journal_written_total")] == 5
    assert found[series("trust_journal_dropped_total", reason="disk_full")] == 2
    assert found[series("trust_journal_up")] == 0


def test_requests_are_timed_however_they_end_and_only_errors_are_counted(process, scrape):
    # A caller that goes away is no error of the service's.
    for end in (None, Overloaded("full"), RuntimeError("our bug"), asyncio.CancelledError()):
        with suppress(Overloaded, RuntimeError, asyncio.CancelledError), process.request():
            if end is not None:
                raise end
    process.fold()
    found = scrape()
    assert found[series("trust_request_seconds_count")] == 4
    counted = {dict(labels)["reason"]: value for (name, labels), value in found.items() if name == "trust_errors_total"}
    assert {reason: value for reason, value in counted.items() if value} == {"overloaded": 1, "internal": 1}


def test_error_of_a_request_goes_on_to_its_caller(process):
    with pytest.raises(Overloaded), process.request():
        raise Overloaded("full")
