"""make demo-drift: images go hazy, and the terminal shows what the monitor says, second by second."""

import argparse
import tempfile
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from demo.replay import CLEAN_SECONDS, HAZE_SECONDS, WINDOW_SECONDS, Moment, Sighting, moments
from demo.service import ROOT, prometheus, service

_STATISTICS = {
    "mean trust": ("traffic", "mean_trust", "mean_trust"),
    "NetTrustScore, estimated": ("traffic", "net_trust_score_estimate", "net_trust_score_estimate"),
    "NetTrustScore, with labels": ("labels", "net_trust_score_prediction_powered", "net_trust_score"),
    "share trusted": ("traffic", "trust_rate", "trust_rate"),
    "accuracy of labelled": ("labels", "accuracy", "accuracy"),
}
"""Title: part and name in the report, name in its reference."""


def main() -> None:
    """Runs the whole show; ends by itself."""
    arguments = _arguments()
    console = Console()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="trustserve-demo-")))
        port = stack.enter_context(service(arguments.model, folder))
        beside = stack.enter_context(prometheus(port, folder))
        console.print(_opening(port, beside))
        screen = stack.enter_context(Live(console=console, refresh_per_second=4))
        for moment in moments(port, beside, arguments.model / "samples", arguments.clean, arguments.haze):
            screen.update(_screen(moment))
    console.print("\nIn short:", *map(_told, moment.seen), sep="\n")


def _screen(moment: Moment) -> Group:
    table = Table(title=f"the last {WINDOW_SECONDS} s, by GET /monitor", title_justify="left")
    table.add_column("", no_wrap=True)
    for column in ("value", "95 % interval", "reference"):
        table.add_column(column, justify="right")
    for title, (part, name, reference) in _STATISTICS.items():
        figure = moment.report[part].get(name) or {"state": "insufficient data"}
        value = f"{figure['value']:.3f}" if "value" in figure else figure["state"]
        interval = f"{figure['low']:.3f} to {figure['high']:.3f}" if "low" in figure else ""
        table.add_row(title, value, interval, f"{moment.report['reference'][reference]:.3f}")
    table.add_row(Text("true accuracy", "dim"), Text(f"{moment.accuracy:.3f}", "dim"), "", "")
    now = Text(f"{moment.seconds:5.1f} s   {moment.answered} images answered   haze {moment.haze:.0%}")
    return Group(now, table, *(Text(_told(sighting), "bold red") for sighting in moment.seen))


def _opening(port: int, beside: int | None) -> str:
    watched = "Prometheus is not installed: no alerts" if beside is None else f"Prometheus on http://127.0.0.1:{beside}"
    return f"service on http://127.0.0.1:{port}; {watched}"


def _told(sighting: Sighting) -> str:
    return f"{sighting.seconds:5.1f} s, {sighting.answered} images: {sighting.name}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Replay clean, then ever hazier images against a service of its own.")
    parser.add_argument("--model", type=Path, default=ROOT / "models/fashion-mnist", help="bundle to serve")
    parser.add_argument("--clean", type=float, default=CLEAN_SECONDS, help="seconds of clean images")
    parser.add_argument("--haze", type=float, default=HAZE_SECONDS, help="seconds in which the haze thickens")
    return parser.parse_args()


if __name__ == "__main__":
    main()
