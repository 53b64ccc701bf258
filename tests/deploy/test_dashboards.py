"""The dashboards as files: up to date, explained, whole, and asking for what is recorded."""

import json
import re
from itertools import combinations
from typing import Any

import promql_parser
import pytest
import yaml
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

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
UNITS = {value for name, value in vars(units).items() if isinstance(value, str) and not name.startswith("_")}
# Of @grafana/data 13.2, standardTransformers, as far as they make tables of series.
TRANSFORMATIONS = {"filterFieldsByName", "groupBy", "joinByField", "merge", "organize", "reduce", "sortBy"}
COUNTED = {"model:label_coverage:ratio", "job:failures:ratio", "job:batch_size:mean"}
"""Of everything that came in, no sample of it."""


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
    """In a heat map there is no room for it; the tables below have it."""
    shown = {name for target in panel["targets"] for name in recorded_in(target["expr"])}
    for name in shown - COUNTED:
        figure, _, operation = name.rpartition(":")
        if operation in {"mean", "ratio", "difference"}:
            ends = {f"{figure}:lower", f"{figure}:upper"}
            band = "model_score:kolmogorov_smirnov:threshold" if figure == "model_score_le:cumulative_share" else None
            assert ends <= shown or f"{figure}:standard_error" in shown or band in shown, name


@pytest.mark.parametrize("panel", PANELS)
def test_panel_is_of_what_grafana_knows(panel):
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert {each["id"] for each in panel.get("transformations", [])} <= TRANSFORMATIONS
    assert {target["format"] for target in panel["targets"]} <= set(PromQueryFormat)


@pytest.mark.parametrize("panel", PANELS)
def test_what_is_said_of_a_series_names_one(panel):
    """A name that Grafana does not find is passed over in silence: no band, no order, no column."""
    legends = {target["legendFormat"] for target in panel["targets"]}
    by_id = {each["id"]: each["options"] for each in panel.get("transformations", [])}
    columns = set(by_id.get("organize", {}).get("renameByName", {}).values()) | {
        by_id.get("joinByField", {}).get("byField")
    }
    for override in panel["fieldConfig"].get("overrides", []):
        matcher = override["matcher"]
        if matcher["id"] == "byName":
            assert matcher["options"] in legends | columns
        else:
            assert matcher["id"] == "byRegexp"
            assert any(re.fullmatch(matcher["options"].strip("/"), legend) for legend in legends)
        for setting in override["properties"]:
            if setting["id"] == "custom.fillBelowTo":
                assert setting["value"] in legends
    assert {each["displayName"] for each in panel["options"].get("sortBy", [])} <= columns
    if "filterFieldsByName" in by_id and "joinByField" in by_id:
        values = {f"Value #{target['refId']}" for target in panel["targets"]}
        assert set(by_id["organize"]["renameByName"]) == values
        assert set(by_id["filterFieldsByName"]["include"]["names"]) == values | {by_id["joinByField"]["byField"]}


@pytest.mark.parametrize("panel", [each for each in PANELS if each.values[0]["type"] == "heatmap"])
def test_heat_map_takes_its_bins_or_rows_as_they_are(panel):
    """Bins by `le` are to be taken apart, which needs the format heatmap; a class a row is none of that."""
    (target,) = panel["targets"]
    options = panel["options"]
    assert options["calculate"] is False
    assert (target["format"], options["rowsFrame"]["layout"]) == (
        ("heatmap", "le") if target["legendFormat"] == "{{le}}" else ("time_series", "unknown")
    )
    # Grafana's schemes of two colours run from green to red; ours is of trust, which is good where it is high.
    if options["color"]["mode"] == "scheme":
        assert (options["color"]["scheme"], options["color"]["reverse"]) == ("RdYlGn", True)
        assert (options["color"]["min"], options["color"]["max"]) == (0, 1)


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
