"""Writes the dashboards that Grafana loads: python -m deploy.grafana.source.write (or make dashboards)."""

from pathlib import Path

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.grafana.source.drift import drift
from deploy.grafana.source.labels import labels
from deploy.grafana.source.serving import serving
from deploy.grafana.source.trust_now import trust_now
from deploy.grafana.source.versions import versions
from deploy.grafana.source.where import where

FOLDER = Path(__file__).parents[1] / "dashboards"
DASHBOARDS = {
    "trust-now": trust_now,
    "drift": drift,
    "where": where,
    "labels": labels,
    "serving": serving,
    "compare-versions": versions,
}


def main() -> None:
    for name, make in DASHBOARDS.items():
        (FOLDER / f"{name}.json").write_text(as_json(make()))


def as_json(dashboard: Dashboard) -> str:
    """The dashboard as Grafana's provisioning reads it."""
    return JSONEncoder(sort_keys=True, indent=1).encode(dashboard.build()) + "\n"


if __name__ == "__main__":
    main()
