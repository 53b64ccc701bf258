"""Who is told what: Alertmanager's configuration, run by amtool."""

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.deploy.conftest import ROOT, executable
from tests.deploy.test_prometheus import ALERTS

CONFIG = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"


def amtool(*arguments: str | Path) -> str:
    result = subprocess.run([executable("amtool"), *arguments], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_configuration_is_valid():
    assert "SUCCESS" in amtool("check-config", CONFIG)


@pytest.mark.parametrize("alert", ALERTS.values(), ids=ALERTS)
def test_critical_alerts_wake_somebody_and_warnings_wait(alert):
    severity = alert["labels"]["severity"]
    labels = [f"alertname={alert['alert']}", f"severity={severity}", "job=trustserve"]
    told = amtool("config", "routes", "test", f"--config.file={CONFIG}", *labels).strip()
    assert told == {"critical": "on-call", "warning": "team"}[severity]


def test_alerts_that_silence_others_exist():
    text = yaml.safe_load(CONFIG.read_text())
    named = {
        name
        for rule in text["inhibit_rules"]
        for matcher in (*rule["source_matchers"], *rule["target_matchers"])
        for name in matcher.partition("=")[2].strip('~"').split("|")
    }
    assert named <= ALERTS.keys()
