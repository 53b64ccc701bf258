"""The dashboard, each of its expressions run on a Prometheus that scraped the running service."""

import json
import math
import re
from collections.abc import Iterator
from itertools import combinations, pairwise
from typing import Any

import httpx
import promql_parser
import pytest
import yaml

from service.errors import error_classes
from tests.deploy.conftest import ROOT, Live, query, query_range

GRAFANA = ROOT / "deploy" / "grafana"
DASHBOARD = json.loads((GRAFANA / "dashboards" / "trust.json").read_text())
DATASOURCE = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text())["datasources"][0]
RULES = yaml.safe_load((ROOT / "deploy" / "prometheus" / "rules.yml").read_text())
VARIABLES = {each["name"]: each for each in DASHBOARD["templating"]["list"]}
VALUES = {
    "__rate_interval": "5m",
    "__interval": "15s",
    "__range": "1h",
    **{name: variable["current"]["value"] for name, variable in VARIABLES.items()},
}
COLUMNS = 24


def walk(panels: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """All panels, those within collapsed rows too."""
    for panel in panels:
        yield panel
        yield from walk(panel.get("panels", []))


def resolve(expression: str) -> str:
    """The expression as Grafana sends it."""
    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda found: VALUES[found[1] or found[2]], expression)


PANELS = [panel for panel in walk(DASHBOARD["panels"]) if panel["type"] != "row"]
TARGETS = [
    pytest.param(target, id=f"{panel['title']}-{target['refId']}") for panel in PANELS for target in panel["targets"]
]


@pytest.mark.parametrize("target", TARGETS)
def test_expression_parses_with_every_variable_resolved(target):
    expression = resolve(target["expr"])
    assert "$" not in expression
    promql_parser.parse(expression)


@pytest.mark.parametrize("target", TARGETS)
def test_expression_finds_what_the_service_exported(target, live: Live):
    expression = resolve(target["expr"])
    if target["instant"]:
        values = [series["value"][1] for series in query(live, expression)]
    else:
        values = [value for series in query_range(live, expression) for _, value in series["values"]]
    assert any(math.isfinite(float(value)) for value in values), f"{expression}: {values}"


@pytest.mark.parametrize("name", [name for name, variable in VARIABLES.items() if variable["type"] == "query"])
def test_variable_offers_its_default(name, live: Live):
    found = re.fullmatch(r"label_values\((.+), (\w+)\)", VARIABLES[name]["query"]["query"])
    assert found
    parameters = {"match[]": resolve(found[1])}
    response = httpx.get(f"{live.prometheus}/api/v1/label/{found[2]}/values", params=parameters)
    assert VARIABLES[name]["current"]["value"] in response.json()["data"]


def test_windows_to_choose_from_are_those_that_the_rules_record():
    rules = [rule for group in RULES["groups"] for rule in group["rules"]]
    recorded = {rule["labels"]["window"] for rule in rules if "window" in rule.get("labels", {})}
    assert set(VARIABLES["window"]["query"].split(",")) == recorded
    assert {option["value"] for option in VARIABLES["window"]["options"]} == recorded


def stat(title: str, live: Live) -> dict[str, float]:
    """What a person reads in one panel, by legend."""
    (panel,) = (panel for panel in PANELS if panel["title"] == title)
    return {
        target["legendFormat"]: float(query(live, resolve(target["expr"]))[0]["value"][1])
        for target in panel["targets"]
    }


def test_trust_shown_is_the_trust_that_the_callers_were_told(live: Live):
    trust = [answer["trust_probability"] for answer in live.answers]
    trusted = [answer["decision"] == "trust" for answer in live.answers]
    assert 0 < sum(trusted) < len(trusted)
    assert stat("Mean trust", live)["mean trust"] == pytest.approx(sum(trust) / len(trust), rel=1e-3)
    assert stat("Trust rate", live)["trust rate"] == pytest.approx(sum(trusted) / len(trusted), rel=1e-3)


def test_net_trust_score_shown_follows_from_the_answers(live: Live):
    pairs = [(answer["trust_probability"], answer["confidence"]) for answer in live.answers]
    quality = [t * c + (1 - t) * (1 - c) for t, c in pairs]
    n, mean = len(quality), sum(quality) / len(quality)
    margin = 1.96 * math.sqrt(sum((each - mean) ** 2 for each in quality) / (n - 1) / n)
    shown = stat("NetTrustScore, estimated", live)
    assert shown["estimate"] == pytest.approx(mean, rel=1e-3)
    # Prometheus extrapolates a number of answers to the whole window, here by a few seconds' worth at most.
    assert shown["at most"] - shown["estimate"] == pytest.approx(margin, rel=0.25)
    assert shown["estimate"] - shown["at least"] == pytest.approx(margin, rel=0.25)


def test_unreadable_images_are_no_failures_of_the_service(live: Live):
    assert live.refusals
    assert stat("Failed requests", live)["failed"] == 0


def test_failed_requests_count_every_reason_that_is_the_services_own():
    (panel,) = (panel for panel in PANELS if panel["title"] == "Failed requests")
    found = re.search(r'reason=~"([^"]+)"', panel["targets"][0]["expr"])
    assert found
    assert set(found[1].split("|")) == {each.reason for each in error_classes() if each.status_code >= 500}


def test_trust_histogram_shows_all_twenty_bins(live: Live):
    (panel,) = (panel for panel in PANELS if panel["type"] == "barchart")
    edges = [series["metric"]["le"] for series in query(live, resolve(panel["targets"][0]["expr"]))]
    assert sorted(map(float, edges)) == pytest.approx([0.05 * i for i in range(1, 21)])


def test_every_query_asks_the_provisioned_data_source():
    asking = [*PANELS, *(target for panel in PANELS for target in panel["targets"])]
    asking += [variable for variable in VARIABLES.values() if variable["type"] == "query"]
    assert {each["datasource"]["uid"] for each in asking} == {DATASOURCE["uid"]}
    assert {each["datasource"]["type"] for each in asking} == {DATASOURCE["type"]}


def test_grafana_knows_how_often_prometheus_scrapes():
    config = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
    assert DATASOURCE["jsonData"]["timeInterval"] == config["global"]["scrape_interval"]


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_panel_explains_itself(panel):
    defaults = panel["fieldConfig"]["defaults"]
    assert len(panel["description"]) > 20
    assert defaults["noValue"]
    assert defaults.get("unit") or panel["options"]["cellValues"]["unit"]


def test_panels_fill_the_grid_without_overlap():
    boxes = [panel["gridPos"] for panel in walk(DASHBOARD["panels"])]
    cells = [
        {(x, y) for x in range(box["x"], box["x"] + box["w"]) for y in range(box["y"], box["y"] + box["h"])}
        for box in boxes
    ]
    assert not any(one & other for one, other in combinations(cells, 2))
    bottom = max(box["y"] + box["h"] for box in boxes)
    assert sum(map(len, cells)) == COLUMNS * bottom
    assert all(box["x"] + box["w"] <= COLUMNS for box in boxes)


def test_panels_have_ids_of_their_own():
    ids = sorted(panel["id"] for panel in walk(DASHBOARD["panels"]))
    assert all(one < next_one for one, next_one in pairwise(ids))
