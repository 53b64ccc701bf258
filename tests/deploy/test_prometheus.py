"""What Prometheus is given: checked and run by promtool, every rule and every alert."""

import re
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest
import yaml

from service.errors import FeedbackError, error_classes
from tests.deploy.conftest import PROMETHEUS, ROOT, executable

WINDOWS = {"5m", "1h", "1d"}
FILES = sorted(PROMETHEUS.glob("rules/*.yml"))
TESTS = sorted(PROMETHEUS.glob("tests/*.yml"))
RULES = [rule for file in FILES for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]
RECORDED = sorted({rule["record"] for rule in RULES if "record" in rule})
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
CASES = [case for file in TESTS for case in yaml.safe_load(file.read_text())["tests"]]


def promtool(*arguments: str | Path) -> str:
    result = subprocess.run([executable("promtool"), *arguments], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_configuration_and_rules_are_valid():
    assert f"{len(FILES)} rule files found" in promtool("check", "config", PROMETHEUS / "prometheus.yml")


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.stem)
def test_rules_say_what_one_computes_by_hand(file):
    promtool("test", "rules", file)


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_figure_is_compared_with_what_it_should_be(name):
    """With a value, not merely with its absence."""
    compared = [
        test
        for case in CASES
        for test in case.get("promql_expr_test", [])
        if test["exp_samples"] and (name in test["expr"] or name in str(test["exp_samples"]))
    ]
    assert compared


@pytest.mark.parametrize("name", ALERTS)
def test_alert_is_seen_to_fire_and_to_keep_silent(name):
    seen = [test for case in CASES for test in case.get("alert_rule_test", []) if test["alertname"] == name]
    assert any(test["exp_alerts"] for test in seen)
    assert any(not test["exp_alerts"] for test in seen)


def test_sums_of_all_windows_are_the_same_but_for_the_window():
    by_name: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for rule in RULES:
        if "window" in rule.get("labels", {}):
            window = rule["labels"]["window"]
            assert f"[{window}]" in rule["expr"]
            by_name[rule["record"], rule["labels"].get("score", "")][window] = rule["expr"].replace(f"[{window}]", "")
    assert by_name
    for name, expressions in by_name.items():
        assert expressions.keys() == WINDOWS, name
        assert len(set(expressions.values())) == 1, name


def test_no_average_is_averaged():
    """Sums over instances are of counters and sums; nothing that was divided is summed or averaged again."""
    for rule in RULES:
        assert not re.search(r"\bavg\b", rule["expr"]), rule
        if "increase(" in rule["expr"] and "record" in rule:
            assert re.fullmatch(
                r"sum by \([\w, ]+\)\s+\(increase\(\w+(_total|_sum|_count|_bucket)\[\w+\]\)\)", rule["expr"]
            )


@pytest.mark.parametrize("alert", ALERTS.values(), ids=ALERTS)
def test_alert_says_whom_to_wake_and_what_to_do(alert):
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert alert["annotations"].keys() == {"summary", "description", "runbook_url"}
    page, _, section = alert["annotations"]["runbook_url"].partition("#")
    assert section == alert["alert"].lower()
    assert f"\n## {alert['alert']}\n" in (ROOT / page).read_text()


def test_every_runbook_is_of_an_alert_and_answers_the_same_questions():
    text = (ROOT / "docs" / "runbooks.md").read_text()
    _, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
    runbooks = {section.split("\n", 1)[0]: section for section in sections}
    assert runbooks.keys() == ALERTS.keys()
    for name, section in runbooks.items():
        for question in ("**Means.**", "**Look at.**", "**Do.**", "**Cannot see.**"):
            assert question in section, f"{name}: {question}"


def test_failures_are_every_reason_that_is_the_services_own():
    (rule,) = (rule for rule in RULES if rule.get("record") == "job:failures:increase")
    found = re.search(r'reason=~"([^"]+)"', rule["expr"])
    assert found
    asked = [each for each in error_classes() if not issubclass(each, FeedbackError)]
    own = {each.reason for each in asked if each.status_code >= 500}
    assert set(found[1].split("|")) == own
