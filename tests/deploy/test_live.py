"""The proof: every expression of every panel, run on a Prometheus that scraped running services; and the alerts."""

import math
import re

import numpy as np
import pytest
from scipy import stats

from tests.deploy.conftest import BUNDLE, Live, query, query_range
from tests.deploy.test_dashboards import FILES, PANELS, VALUES, resolve
from tests.deploy.test_dockerfile import run_healthcheck
from tests.deploy.test_prometheus import RECORDED
from trust.score import question_answer_trust

VERSION = VALUES["version"]
HERE = f'{{job="trustserve", version="{VERSION}", window="1h"}}'


def value(live: Live, name: str, labels: str = HERE) -> float:
    (series,) = query(live, name + labels)
    return float(series["value"][1])


@pytest.mark.parametrize("panel", PANELS)
def test_every_expression_of_a_panel_finds_finite_values(panel, live: Live):
    for target in panel["targets"]:
        expression = resolve(target["expr"])
        if target["instant"]:
            values = [series["value"][1] for series in query(live, expression)]
        else:
            values = [found for series in query_range(live, expression) for _, found in series["values"]]
        assert values, expression
        assert all(math.isfinite(float(each)) for each in values), f"{expression}: {values}"


EXTRAPOLATED = 6e-3
"""Prometheus extrapolates each replica's increase to the edges of the window, by up to a scrape in half a minute: 3 %.
Of the labels, whose mix differs most between the replicas, that moves a pooled share by so much."""

VARIABLES = [each for each in FILES["compare-versions"]["templating"]["list"] if each["type"] == "query"]


@pytest.mark.parametrize("variable", VARIABLES, ids=lambda variable: variable["name"])
def test_variable_offers_what_serves(variable, live: Live):
    found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"])
    assert found
    parameters = {"match[]": resolve(found[1])}
    offered = live.http.get(f"{live.prometheus}/api/v1/label/{found[2]}/values", params=parameters).json()["data"]
    chosen = VALUES[variable["name"]]
    assert chosen in offered or (chosen == variable["allValue"] and len(offered) == len(live.services))


def test_health_check_is_content_with_a_ready_service(live: Live):
    result = run_healthcheck(int(live.services["a"].rpartition(":")[2]))
    assert (result.returncode, result.stderr) == (0, "")


def test_every_rule_records_something(live: Live):
    found = {series["metric"]["__name__"] for series in query(live, '{__name__=~"(model|job)\\\\w*:.+"}')}
    assert found == set(RECORDED)


def test_unequal_replicas_give_the_pooled_value(live: Live):
    pooled, one, other = (live.pooled(*replicas)["trust_probability"].mean() for replicas in ("ab", "a", "b"))
    shown = value(live, "model:trust:mean")
    assert shown == pytest.approx(pooled, abs=2e-3)
    assert abs(shown - (one + other) / 2) > 5e-3


def test_figures_without_labels_are_those_of_the_answers(live: Live):
    answers = live.pooled("a", "b")
    assert value(live, "model:trust_rate:ratio") == pytest.approx(answers["trusted"].mean(), abs=2e-3)
    quality = question_answer_trust(answers["confidence"], answers["trust_probability"])
    mean, error = quality.mean(), stats.sem(quality)
    assert value(live, "model:net_trust_score_estimate:mean") == pytest.approx(mean, abs=2e-3)
    assert value(live, "model:net_trust_score_estimate:standard_error") == pytest.approx(error, rel=0.03)


def test_prediction_powered_score_is_that_of_the_weighted_labels(live: Live):
    answers = live.pooled("a", "b")
    estimated = question_answer_trust(answers["confidence"], answers["trust_probability"])
    realised = question_answer_trust(answers["confidence"], answers["correct"])
    labelled = answers["weight"] > 0
    n, w = labelled.sum(), answers["weight"][labelled]
    surprise = (realised - estimated)[labelled]
    rectifier = (w * surprise).sum() / w.sum()
    variance = n / (n - 1) * (w**2 * (surprise - rectifier) ** 2).sum() / w.sum() ** 2
    mean, error = estimated.mean() + rectifier, math.sqrt(stats.sem(estimated) ** 2 + variance)
    assert value(live, "model:net_trust_score:mean") == pytest.approx(mean, abs=2e-3)
    assert value(live, "model:net_trust_score:standard_error") == pytest.approx(error, rel=0.03)
    # Though untrusted answers were labelled twice as often, it is right about all of them.
    assert abs(value(live, "model:net_trust_score:mean") - realised.mean()) < 3 * error


def test_risk_and_accuracy_are_those_of_the_labels(live: Live):
    answers = live.pooled("a", "b")
    labelled = answers["weight"] > 0
    right = answers["correct"][labelled]
    trusted = answers["trusted"][labelled]
    assert value(live, "model:accuracy:ratio") == pytest.approx(right.mean(), abs=EXTRAPOLATED)
    assert value(live, "model:risk:ratio") == pytest.approx(1 - right[trusted].mean(), abs=EXTRAPOLATED)
    gap = (right - answers["trust_probability"][labelled]).mean()
    assert value(live, "model:calibration_gap:mean") == pytest.approx(gap, abs=EXTRAPOLATED)


def test_kolmogorov_smirnov_distance_is_that_from_the_reference_images(live: Live):
    edges = np.arange(1, 21) / 20
    now = live.pooled("a", "b")["trust_probability"]
    reference = np.load(BUNDLE / "reference.npz")["trust"]
    difference = [abs((now <= edge).mean() - (reference <= edge).mean()) for edge in edges]
    trust = HERE.replace("{", '{score="trust", ')
    assert value(live, "model_score:kolmogorov_smirnov:max", trust) == pytest.approx(max(difference), abs=3e-3)
    assert value(live, "model_score:wasserstein:sum", trust) == pytest.approx(np.mean(difference), abs=3e-3)


def test_nobody_is_alarmed_while_images_are_clean(live: Live):
    assert not live.alerts_while_clean


@pytest.mark.parametrize("alert", ["TrustFellFast", "AlarmFired"])
def test_noisy_images_reach_whoever_is_on_call(alert, live: Live):
    firing = [each for each in live.alerts if each["alertname"] == alert and each["alertstate"] == "firing"]
    assert {each["version"] for each in firing} == {VERSION}
    assert alert in {each["alertname"] for each in live.told}


def test_version_that_saw_clean_images_alone_alarms_nobody(live: Live):
    assert {each["version"] for each in live.alerts} == {VERSION}
