"""The proof: every expression of every panel, run on a Prometheus that scraped running services; and the alerts."""

import math
import re
from collections.abc import Callable
from functools import partial

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
ROUNDING = 1e-4


def value(live: Live, name: str, labels: str = HERE) -> float:
    (series,) = query(live, name + labels)
    return float(series["value"][1])


def extrapolated(live: Live) -> float:
    """The share by which Prometheus may overcount the increases of one replica.

    It extrapolates an increase over n scrapes from the last of them to the end of the window, by 1.1 scrapes at most:
    https://prometheus.io/docs/prometheus/latest/querying/functions/#increase
    """
    (scrapes,) = query(live, "min(count_over_time(trust_model_info[1h]))")
    # The rules ran when there was a scrape or two less.
    return 1.1 / (float(scrapes["value"][1]) - 3)


def assert_pooled(
    live: Live,
    shown: float,
    answers: dict[str, np.ndarray],
    figure: Callable[[np.ndarray], float],
    name: str = "",
) -> None:
    """A figure of all answers together, which Prometheus may count a little more often on one replica than on another.

    Args:
        figure: of the answers when each is counted so many times, (N,).
    """
    more = [np.where(answers["replica"] == replica, 1 + extrapolated(live), 1) for replica in "ab"]
    low, high = sorted(map(figure, more))
    assert low - ROUNDING <= shown <= high + ROUNDING, f"{name} {low} {shown} {high}"


def weighted(values: np.ndarray, weight: np.ndarray, rows: np.ndarray, times: np.ndarray) -> float:
    """Mean of some rows by their weights, each row counted so many times."""
    return float(np.average(values, weights=weight * times[rows]))


def with_labels(name: str) -> tuple[str, str]:
    """A series' name, and its labels with those that all have."""
    name, _, labels = name.partition("{")
    return name, HERE.replace("}", f", {labels}" if labels else "}")


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
    answers = live.pooled("a", "b")
    trust = answers["trust_probability"]
    shown = value(live, "model:trust:mean")
    assert_pooled(live, shown, answers, lambda times: float(np.average(trust, weights=times)))
    assert abs(shown - np.mean([trust[answers["replica"] == replica].mean() for replica in "ab"])) > 0.01


def test_figures_without_labels_are_those_of_the_answers(live: Live):
    answers = live.pooled("a", "b")
    trusted = answers["trusted"]
    shown = value(live, "model:trust_rate:ratio")
    assert_pooled(live, shown, answers, lambda times: float(np.average(trusted, weights=times)))
    quality = question_answer_trust(answers["confidence"], answers["trust_probability"])
    shown = value(live, "model:net_trust_score_estimate:mean")
    assert_pooled(live, shown, answers, lambda times: float(np.average(quality, weights=times)))
    error = value(live, "model:net_trust_score_estimate:standard_error")
    assert error == pytest.approx(stats.sem(quality), rel=extrapolated(live))


def test_figures_of_labels_are_weighted(live: Live):
    answers = live.pooled("a", "b")
    right, weight, trusted = answers["correct"], answers["weight"], answers["trusted"]
    quality = question_answer_trust(answers["confidence"], right)
    for name, values, rows in (
        ("model:accuracy:ratio", right, weight > 0),
        ("model:risk:ratio", ~right, trusted),
        ("model:calibration_gap:mean", right - answers["trust_probability"], weight > 0),
        ("model:net_trust_score_labelled:mean", quality, weight > 0),
        ('model_correct:confidence:mean{correct="true"}', answers["confidence"], right),
        ('model_correct:confidence:mean{correct="false"}', answers["confidence"], ~right),
    ):
        shown = value(live, *with_labels(name))
        assert_pooled(live, shown, answers, partial(weighted, values[rows], weight[rows], rows), name)


def test_selective_review_does_not_bend_risk_and_accuracy(live: Live):
    """The truth about every answer, labelled or not, lies in the interval; the labels as they come are far from it."""
    answers = live.pooled("a", "b")
    labelled, trusted, right = answers["weight"] > 0, answers["trusted"], answers["correct"]
    for name, true, unweighted in (
        ("model:accuracy", right.mean(), right[labelled].mean()),
        ("model:risk", 1 - right[trusted].mean(), 1 - right[labelled & trusted].mean()),
    ):
        shown = value(live, f"{name}:ratio")
        assert value(live, f"{name}:lower") < true < value(live, f"{name}:upper")
        assert abs(shown - true) < abs(unweighted - true) / 2


def test_prediction_powered_score_is_that_of_the_weighted_labels(live: Live):
    answers = live.pooled("a", "b")
    estimated = question_answer_trust(answers["confidence"], answers["trust_probability"])
    realised = question_answer_trust(answers["confidence"], answers["correct"])
    labelled = answers["weight"] > 0
    n, w = labelled.sum(), answers["weight"][labelled]
    surprise = (realised - estimated)[labelled]

    def score(times: np.ndarray) -> float:
        return float(np.average(estimated, weights=times)) + weighted(surprise, w, labelled, times)

    assert_pooled(live, value(live, "model:net_trust_score:mean"), answers, score)
    rectifier = np.average(surprise, weights=w)
    variance = n / (n - 1) * (w**2 * (surprise - rectifier) ** 2).sum() / w.sum() ** 2
    error = math.sqrt(stats.sem(estimated) ** 2 + variance)
    assert value(live, "model:net_trust_score:standard_error") == pytest.approx(error, rel=extrapolated(live))
    # Though doubtful answers were labelled four times as often, it is right about all of them.
    assert abs(value(live, "model:net_trust_score:mean") - realised.mean()) < 3 * error


def test_kolmogorov_smirnov_distance_is_that_from_the_reference_images(live: Live):
    answers = live.pooled("a", "b")
    edges = np.arange(1, 21) / 20
    below = answers["trust_probability"][:, None] <= edges
    reference = np.load(BUNDLE / "reference.npz")["trust"]

    def differences(times: np.ndarray) -> np.ndarray:
        return abs(np.average(below, axis=0, weights=times) - (reference[:, None] <= edges).mean(axis=0))

    trust = HERE.replace("{", '{score="trust", ')
    for name, summary in (("kolmogorov_smirnov:max", np.max), ("wasserstein:sum", np.mean)):
        shown = value(live, f"model_score:{name}", trust)
        assert_pooled(live, shown, answers, lambda times, of=summary: float(of(differences(times))))


def test_nobody_is_alarmed_while_images_are_clean(live: Live):
    assert not live.alerts_while_clean


@pytest.mark.parametrize("alert", ["TrustFellFast", "AlarmFired"])
def test_noisy_images_reach_whoever_is_on_call(alert, live: Live):
    firing = [each for each in live.alerts if each["alertname"] == alert and each["alertstate"] == "firing"]
    assert {each["version"] for each in firing} == {VERSION}
    assert alert in {each["alertname"] for each in live.told}


def test_version_that_saw_clean_images_alone_alarms_nobody(live: Live):
    assert {each["version"] for each in live.alerts} == {VERSION}
