"""What Prometheus is given: checked and run by promtool."""

import subprocess
from pathlib import Path

import yaml

from tests.deploy.conftest import ROOT, Live, executable, query

PROMETHEUS = ROOT / "deploy" / "prometheus"


def promtool(*arguments: str | Path) -> str:
    result = subprocess.run([executable("promtool"), *arguments], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_configuration_and_rules_are_valid():
    assert "1 rule files found" in promtool("check", "config", PROMETHEUS / "prometheus.yml")


def test_rules_compute_what_one_computes_by_hand():
    promtool("test", "rules", PROMETHEUS / "rules_test.yml")


def test_every_rule_records_something_of_the_running_service(live: Live):
    groups = yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"]
    names = {rule["record"] for group in groups for rule in group["rules"] if "record" in rule}
    found = {series["metric"]["__name__"] for series in query(live, '{__name__=~"job_window:.+"}')}
    assert found == names
