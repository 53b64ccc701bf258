"""A dashboard around its panels: the choices at its top, the links to its siblings, rows of panels over 24 columns."""

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from deploy.grafana.source.panels import SOURCE, Panel

WINDOWS = ("5m", "1h", "1d")
TAG = "trustserve"


@dataclass(frozen=True)
class Row:
    """Panels side by side: each with its width, which add up to 24."""

    title: str
    height: int
    panels: Sequence[tuple[int, Panel]]


def page(uid: str, title: str, description: str, rows: Sequence[Row], *, baseline: bool = False) -> dashboard.Dashboard:
    """The dashboard of these rows.

    Args:
        uid: part of its address.
        baseline: whether a second version can be chosen, to compare with.
    """
    built = dashboard.Dashboard(title).uid(uid).description(description).tags([TAG]).readonly()
    built = built.refresh("10s").time("now-1h", "now").timezone("browser").tooltip(DashboardCursorSync.CROSSHAIR)
    siblings = dashboard.DashboardLink("trustserve").type(DashboardLinkType.DASHBOARDS).tags([TAG])
    built = built.link(siblings.keep_time(True).include_vars(True))
    for variable in _variables(baseline):
        built = built.with_variable(variable)
    number = 0
    for row in rows:
        number += 1
        built = built.with_row(dashboard.Row(row.title).id(number))
        for width, panel in row.panels:
            number += 1
            built = built.with_panel(panel.id(number).span(width).height(row.height))
    return built


def _variables(baseline: bool) -> list[dashboard.QueryVariable | dashboard.CustomVariable]:
    of_model = 'trust_model_info{job="$job", model="$model"}'
    found = [
        _found("job", "Service", "trust_model_info"),
        _found("model", "Model", 'trust_model_info{job="$job"}'),
        _found("version", "Version", of_model),
    ]
    if baseline:
        found.append(_found("baseline", "Compared with", of_model, label="version"))
    instance = _found("instance", "Instance", 'up{job="$job"}').multi(True).include_all(True).all_value(".*")
    instance = instance.current(VariableOption(selected=True, text=["All"], value=["$__all"]))
    window = dashboard.CustomVariable("window").label("Over the last").values(",".join(WINDOWS))
    window = window.description("How far back each value looks; longer is steadier, and surer where traffic is low.")
    window = window.options([VariableOption(selected=each == "1h", text=each, value=each) for each in WINDOWS])
    return [*found, instance, window.current(VariableOption(selected=True, text="1h", value="1h"))]


def _found(name: str, title: str, series: str, label: str | None = None) -> dashboard.QueryVariable:
    """A choice among the values of a label that a series has."""
    variable = dashboard.QueryVariable(name).label(title).datasource(SOURCE).sort(VariableSort.ALPHABETICAL_ASC)
    return variable.query(f"label_values({series}, {label or name})").refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
