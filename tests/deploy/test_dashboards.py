"""The dashboards as files: up to date, explained, whole, and asking for what is recorded."""

import json
import re
from itertools import combinations
from typing import Any

import promql_parser
import pytest
import yaml

from deploy.grafana.source.page import WINDOWS
from deploy.grafana.source.write import DASHBOARDS, FOLDER, as_json
from tests.deploy import test_prometheus
from tests.deploy.conftest import ROOT

PROVISIONING = ROOT / "deploy" / "grafana" / "provisioning"
DATASOURCE = yaml.safe_load((PROVISIONING / "datasources" / "prometheus.yml").read_text())["datasources"][0]
FILES = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
PANELS = [
    pytest.param(panel, id=f"{name}-{panel['title']}")
    for name, dashboard in FILES.items()
    for panel in dashboard["panels"]
    if panel["type"] != "row"
]
VALUES = {
    "job": "trustserve",
    "model": "fashion-mnist",
    "version": "14f7c165fd95",
    "baseline": "next",
    "instance": ".*",
    "window": "1h",
    "__rate_interval": "1m",
}
COLUMNS = 24


def resolve(expression: str) -> str:
    """The expression as Grafana sends it."""
    return re.sub(r"\$(\w+)", lambda found: VALUES[found[1]], expression)


def recorded_in(expression: str) -> set[str]:
    """Names of recorded figures in it."""
    return set(re.findall(r"\b(?:model|job)\w*:\w+:\w+", expression))


def test_files_are_what_their_source_writes():
    assert FILES.keys() == DASHBOARDS.keys()
    for name, make in DASHBOARDS.items():
        assert (FOLDER / f"{name}.json").read_text() == as_json(make()), f"{name}: run `make dashboards`"


def test_dashboards_have_addresses_of_their_own():
    assert len({dashboard["uid"] for dashboard in FILES.values()}) == len(FILES)


@pytest.mark.parametrize("panel", PANELS)
def test_panel_explains_itself(panel):
    defaults = panel["fieldConfig"]["defaults"]
    assert len(panel["description"]) > 20
    assert panel["description"].endswith(".")
    assert defaults["unit"]
    assert defaults["noValue"]


@pytest.mark.parametrize("panel", PANELS)
def test_panel_asks_for_what_is_recorded(panel):
    for target in panel["targets"]:
        promql_parser.parse(resolve(target["expr"]))
        assert recorded_in(target["expr"]) <= set(test_prometheus.RECORDED)


@pytest.mark.parametrize("panel", [each for each in PANELS if each.values[0]["type"] != "heatmap"])
def test_estimate_is_shown_with_its_interval(panel):
    shown = {name for target in panel["targets"] for name in recorded_in(target["expr"])}
    for name in shown:
        figure, _, operation = name.rpartition(":")
        if operation in {"mean", "ratio"} and f"{figure}:lower" in test_prometheus.RECORDED:
            ends = {f"{figure}:lower", f"{figure}:upper"}
            assert ends <= shown or f"{figure}:standard_error" in shown, name


@pytest.mark.parametrize("panel", PANELS)
def test_nothing_is_divided_on_a_dashboard(panel):
    """Ratios are made in the recording rules, sums first."""
    for target in panel["targets"]:
        assert "/" not in re.sub(r'"[^"]*"', "", target["expr"])


@pytest.mark.parametrize("dashboard", FILES.values(), ids=FILES)
def test_variables_choose_model_version_instance_and_window(dashboard):
    variables = {each["name"]: each for each in dashboard["templating"]["list"]}
    assert {"model", "version", "instance", "window"} <= variables.keys()
    assert set(variables["window"]["query"].split(",")) == set(WINDOWS) == test_prometheus.WINDOWS
    used = {name for panel in dashboard["panels"] for each in panel.get("targets", []) for name in _used(each)}
    assert used - {"__rate_interval"} <= variables.keys()


@pytest.mark.parametrize("dashboard", FILES.values(), ids=FILES)
def test_every_query_asks_the_provisioned_data_source(dashboard):
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    asking: list[Any] = [*panels, *(target for panel in panels for target in panel["targets"])]
    asking += [variable for variable in dashboard["templating"]["list"] if variable["type"] == "query"]
    assert {each["datasource"]["uid"] for each in asking} == {DATASOURCE["uid"]}


def test_grafana_knows_how_often_prometheus_scrapes():
    config = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
    assert DATASOURCE["jsonData"]["timeInterval"] == config["global"]["scrape_interval"]


@pytest.mark.parametrize("dashboard", FILES.values(), ids=FILES)
def test_panels_fill_the_grid_without_overlap(dashboard):
    boxes = [panel["gridPos"] for panel in dashboard["panels"]]
    cells = [
        {(x, y) for x in range(box["x"], box["x"] + box["w"]) for y in range(box["y"], box["y"] + box["h"])}
        for box in boxes
    ]
    assert not any(one & other for one, other in combinations(cells, 2))
    assert sum(map(len, cells)) == COLUMNS * max(box["y"] + box["h"] for box in boxes)
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(boxes)


def _used(target: dict[str, Any]) -> set[str]:
    return set(re.findall(r"\$(\w+)", target["expr"]))
