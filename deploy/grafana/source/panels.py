"""How panels look: one function a kind of panel, each given a title, a unit, a description and what it asks.

Made with Grafana's own builders, https://github.com/grafana/grafana-foundation-sdk.
"""

import re
from collections.abc import Mapping
from typing import TypeAlias, TypeVar

from grafana_foundation_sdk.builders import barchart, common, dashboard, heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    HeatmapCellLayout,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    TooltipDisplayMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    Threshold,
    ThresholdsMode,
)
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode, HeatmapColorScale
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from deploy.grafana.source.queries import LEAST, MOST, Queries

Panel: TypeAlias = barchart.Panel | heatmap.Panel | stat.Panel | table.Panel | timeseries.Panel
AnyPanel = TypeVar("AnyPanel", barchart.Panel, heatmap.Panel, stat.Panel, table.Panel, timeseries.Panel)
Steps: TypeAlias = Mapping[float, str]
"""From which value on which colour holds, ascending; -inf for the first."""

SOURCE = DataSourceRef(type_val="prometheus", uid="prometheus")
NOTHING = "insufficient data"
DECIMALS = {"short": 0, "percentunit": 1, "none": 3, "bool_on_off": 0}
"""By unit."""
COUNTS = {"answers", "labels"}
"""Columns of tables that are no shares."""


def number(title: str, unit: str, description: str, queries: Queries, colours: Steps | None = None) -> stat.Panel:
    """The latest value of each query, large; without colours there is neither good nor bad."""
    panel = stat.Panel().orientation(VizOrientation.VERTICAL).text_mode(BigValueTextMode.VALUE_AND_NAME)
    panel = panel.graph_mode(BigValueGraphMode.NONE).decimals(DECIMALS[unit])
    panel = panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
    panel = panel.thresholds(_thresholds(colours or {float("-inf"): "blue"})).color_mode(
        BigValueColorMode.BACKGROUND if colours else BigValueColorMode.VALUE
    )
    panel = panel.title(title).unit(unit).description(description).no_value(NOTHING).datasource(SOURCE)
    return _ask(panel, queries, now=True)


def curve(title: str, unit: str, description: str, queries: Queries, low: float | None = None) -> timeseries.Panel:
    """Each query over time, the space between "at least" and "at most" filled."""
    panel = timeseries.Panel().line_width(2).fill_opacity(0).span_nulls(False)
    panel = panel.legend(
        common.VizLegendOptions()
        .display_mode(LegendDisplayMode.LIST)
        .placement(LegendPlacement.BOTTOM)
        .show_legend(True)
    )
    panel = panel.tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.NONE))
    for legend in queries:
        if legend.endswith((LEAST, MOST)):
            # A name made of labels is known when it is drawn, and fillBelowTo takes no pattern.
            pattern = re.sub(r"{{.*?}}", ".+", legend)
            if pattern != legend:
                panel = panel.override_by_regexp(f"/^{pattern}$/", _dashed())
            else:
                panel = panel.override_by_name(legend, _edge(legend))
    if low is not None:
        panel = panel.axis_soft_min(low)
    panel = panel.title(title).unit(unit).description(description).no_value(NOTHING).datasource(SOURCE)
    return _ask(panel, queries)


def rows(
    title: str, unit: str, description: str, queries: Queries, by: str, sort_by: str, *, descending: bool = False
) -> table.Panel:
    """One row a value of the label `by`, one column a query; only what every query has."""
    panel = table.Panel().show_header(True).filterable(True)
    panel = panel.sort_by([common.TableSortByFieldState().display_name(sort_by).desc(descending)])
    names = {f"Value #{_ref(i)}": legend for i, legend in enumerate(queries)}
    panel = panel.with_transformation(DataTransformerConfig("joinByField", options={"byField": by, "mode": "inner"}))
    panel = panel.with_transformation(
        DataTransformerConfig("filterFieldsByName", options={"include": {"names": [by, *names]}})
    )
    panel = panel.with_transformation(DataTransformerConfig("organize", options={"renameByName": names}))
    panel = (
        panel.title(title)
        .unit(unit)
        .decimals(DECIMALS[unit])
        .description(description)
        .no_value(NOTHING)
        .datasource(SOURCE)
    )
    for counted in COUNTS & queries.keys():
        panel = panel.override_by_name(
            counted, [DynamicConfigValue("unit", "short"), DynamicConfigValue("decimals", 0)]
        )
    for i, expression in enumerate(queries.values()):
        panel = panel.with_target(_query(i, f"sum by ({by}) ({expression})", "", PromQueryFormat.TABLE, now=True))
    return panel


def listing(title: str, unit: str, description: str, expression: str, columns: Mapping[str, str]) -> table.Panel:
    """One row a series, its labels as columns: label -> heading."""
    panel = table.Panel().show_header(True)
    panel = panel.with_transformation(
        DataTransformerConfig("filterFieldsByName", options={"include": {"names": list(columns)}})
    )
    panel = panel.with_transformation(DataTransformerConfig("organize", options={"renameByName": dict(columns)}))
    panel = panel.title(title).unit(unit).description(description).no_value("none").datasource(SOURCE)
    return panel.with_target(_query(0, expression, "", PromQueryFormat.TABLE, now=True))


def bins(title: str, unit: str, description: str, queries: Queries) -> barchart.Panel:
    """Answers by bin now; each query counts cumulatively by `le`, which Grafana takes apart."""
    panel = barchart.Panel().x_field("Field").orientation(VizOrientation.VERTICAL).fill_opacity(60)
    bars = DataTransformerConfig("reduce", options={"mode": "seriesToRows", "reducers": ["lastNotNull"]})
    panel = panel.with_transformation(bars).legend(common.VizLegendOptions().show_legend(False))
    panel = panel.title(title).unit(unit).description(description).no_value(NOTHING).datasource(SOURCE)
    return _ask(panel, queries, PromQueryFormat.HEATMAP, now=True)


def density(title: str, unit: str, description: str, queries: Queries) -> heatmap.Panel:
    """Answers by bin over time; the query counts cumulatively by `le`, which Grafana takes apart."""
    # By the root of the count, so that few answers are seen beside many; a scheme would know no exponent.
    colour = heatmap.HeatmapColorOptions().mode(HeatmapColorMode.OPACITY).fill("blue")
    colour = colour.scale(HeatmapColorScale.EXPONENTIAL).exponent(0.5).steps(64)
    return _heat(title, unit, description, colour, HeatmapCellLayout.LE, queries, PromQueryFormat.HEATMAP)


def spectrum(title: str, unit: str, description: str, queries: Queries) -> heatmap.Panel:
    """One row a series over time, coloured by value: red 0, green 1."""
    # Grafana turns every diverging scheme round, green at the bottom, and round again where it is told to.
    colour = heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("RdYlGn").reverse(True)
    colour = colour.min(0).max(1).steps(64)
    return _heat(title, unit, description, colour, HeatmapCellLayout.UNKNOWN, queries, PromQueryFormat.TIME_SERIES)


def _heat(
    title: str,
    unit: str,
    description: str,
    colour: heatmap.HeatmapColorOptions,
    layout: HeatmapCellLayout,
    queries: Queries,
    query_format: PromQueryFormat,
) -> heatmap.Panel:
    panel = heatmap.Panel().calculate(False).color(colour).cell_gap(0)
    panel = panel.rows_frame(heatmap.RowsHeatmapOptions().layout(layout))
    panel = panel.cell_values(heatmap.CellValues().unit(unit)).show_legend()
    panel = panel.title(title).unit(unit).description(description).no_value(NOTHING).datasource(SOURCE)
    return _ask(panel, queries, query_format)


def _ask(
    panel: AnyPanel,
    queries: Queries,
    query_format: PromQueryFormat = PromQueryFormat.TIME_SERIES,
    *,
    now: bool = False,
) -> AnyPanel:
    for i, (legend, expression) in enumerate(queries.items()):
        panel = panel.with_target(_query(i, expression, legend, query_format, now=now))
    return panel


def _query(
    index: int, expression: str, legend: str, query_format: PromQueryFormat, *, now: bool = False
) -> prometheus.Dataquery:
    query = prometheus.Dataquery().ref_id(_ref(index)).datasource(SOURCE).format(query_format).legend_format(legend)
    query = query.expr(expression)
    return query.instant() if now else query.range()


def _ref(index: int) -> str:
    return chr(ord("A") + index)


def _edge(legend: str) -> list[DynamicConfigValue]:
    """Ends of an interval are thin; the upper is filled down to the lower."""
    look = [DynamicConfigValue("custom.lineWidth", 0.5)]
    if legend.endswith(MOST):
        look.append(DynamicConfigValue("custom.fillBelowTo", legend.removesuffix(MOST) + LEAST))
        look.append(DynamicConfigValue("custom.fillOpacity", 15))
    return look


def _dashed() -> list[DynamicConfigValue]:
    return [
        DynamicConfigValue("custom.lineWidth", 0.5),
        DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [4, 4]}),
    ]


def _thresholds(colours: Steps) -> dashboard.ThresholdsConfig:
    steps = [Threshold(None if value == float("-inf") else value, colour) for value, colour in colours.items()]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)
