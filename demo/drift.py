"""make demo-drift: a service, clean images, then the same ever hazier, and what the monitor says, second by second.

Nothing here knows more than a user of the service does: images go to /predict, a few labels to /feedback, figures come
from /monitor and, where Prometheus is installed, alerts from the rules of the deployment.
"""

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from demo.images import Pixels, endless, haze, labelled_images, png
from demo.service import ROOT, Client, firing_alerts, prometheus, service

CLEAN_SECONDS, HAZE_SECONDS = 30, 50
WORST_HAZE = 0.6
LABELLED_SHARE = 0.25
CLIENTS = 2
WINDOW = "20s"
HAZE_BEGINS = "haze begins"
_STATISTICS = {
    "mean trust": ("traffic", "mean_trust"),
    "NetTrustScore, estimated": ("traffic", "net_trust_score_estimate"),
    "NetTrustScore, with labels": ("labels", "net_trust_score_prediction_powered"),
    "share trusted": ("traffic", "trust_rate"),
    "accuracy of labelled": ("labels", "accuracy"),
}


@dataclass
class Replay:
    """What was sent so far, and what came of it."""

    strength: float = 0.0
    stopped: bool = False
    answered: int = 0
    right: list[bool] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, right: bool) -> None:
        """One more answer."""
        with self.lock:
            self.answered += 1
            self.right.append(right)


@dataclass
class Sighting:
    """Something first seen, and after how many images."""

    name: str
    seconds: float
    answered: int


def main() -> None:
    """Runs the whole show; ends by itself."""
    arguments = _arguments()
    console = Console()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="trustserve-demo-")))
        port = stack.enter_context(service(arguments.model, folder))
        beside = stack.enter_context(prometheus(port, folder))
        console.print(_opening(port, beside))
        seen = _show(console, port, beside, arguments)
    console.print("\nIn short:", *map(_sighting, seen), sep="\n")


def _show(console: Console, port: int, beside: int | None, arguments: argparse.Namespace) -> list[Sighting]:
    """Replays in threads and draws once a second; gives what was seen, in order."""
    classes = Client(port).get("/model")["manifest"]["classes"]
    pixels, targets = labelled_images(classes, arguments.model / "samples")
    replay, began, seen = Replay(), time.monotonic(), list[Sighting]()
    threads = [
        threading.Thread(target=_send, args=(port, replay, endless(pixels, targets, seed), seed), daemon=True)
        for seed in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    monitor, alerts = Client(port), None if beside is None else Client(beside)
    try:
        with Live(console=console, refresh_per_second=4, transient=False) as screen:
            while (seconds := time.monotonic() - began) < arguments.clean + arguments.haze:
                replay.strength = WORST_HAZE * max(0.0, seconds - arguments.clean) / arguments.haze
                report = monitor.get(f"/monitor?window={WINDOW}")
                active = {f"alarm {name}" for name, alarm in report["alarms"].items() if "raised_at" in alarm}
                if alerts is not None:
                    active |= {f"Prometheus: {name}" for name in firing_alerts(alerts)}
                if replay.strength > 0:
                    active.add(HAZE_BEGINS)
                known = {sighting.name for sighting in seen}
                seen += [Sighting(name, seconds, replay.answered) for name in sorted(active - known)]
                screen.update(_screen(report, replay, seconds, seen))
                time.sleep(1)
    finally:
        replay.stopped = True
        for thread in threads:
            thread.join()
    return seen


def _send(port: int, replay: Replay, images: Iterator[tuple[Pixels, int]], seed: int) -> None:
    """Sends one image after the other, and the labels of a few."""
    client, draw = Client(port), np.random.default_rng(seed)
    while not replay.stopped:
        image, target = next(images)
        answer = client.post("/predict", png(haze(image, replay.strength, draw)), "image/png")
        replay.count(answer["class_index"] == target)
        if draw.random() < LABELLED_SHARE:
            label = {"request_id": answer["request_id"], "class_index": target, "sampling_probability": LABELLED_SHARE}
            client.post("/feedback", json.dumps(label).encode(), "application/json")


def _screen(report: dict[str, Any], replay: Replay, seconds: float, seen: list[Sighting]) -> Group:
    table = Table(title=f"the last {WINDOW}, by GET /monitor", title_justify="left")
    table.add_column("")
    for column in ("value", "95 % interval", "reference"):
        table.add_column(column, justify="right")
    reference = report["reference"]
    expected = {
        "mean trust": reference["mean_trust"],
        "NetTrustScore, estimated": reference["net_trust_score_estimate"],
        "NetTrustScore, with labels": reference["net_trust_score"],
        "share trusted": reference["trust_rate"],
        "accuracy of labelled": reference["accuracy"],
    }
    for title, (part, name) in _STATISTICS.items():
        figure = report[part].get(name) or {"state": "insufficient data"}
        value = f"{figure['value']:.3f}" if "value" in figure else figure["state"]
        interval = f"{figure['low']:.3f} to {figure['high']:.3f}" if "low" in figure else ""
        table.add_row(title, value, interval, f"{expected[title]:.3f}")
    recent = replay.right[-500:]
    truth = f"{sum(recent) / len(recent):.3f}" if recent else ""
    table.add_row(Text("true accuracy of the last 500", "dim"), Text(truth, "dim"), "", "")
    told = Text(f"{seconds:5.1f} s   {replay.answered} images answered   haze {replay.strength:.0%}")
    return Group(told, table, *(Text(_sighting(sighting), "bold red") for sighting in seen))


def _opening(port: int, beside: int | None) -> str:
    watched = "Prometheus is not installed: no alerts" if beside is None else f"Prometheus on http://127.0.0.1:{beside}"
    return f"service on http://127.0.0.1:{port}; {watched}"


def _sighting(sighting: Sighting) -> str:
    return f"{sighting.seconds:5.1f} s, {sighting.answered} images: {sighting.name}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Replay clean, then ever hazier images against a service of its own.")
    parser.add_argument("--model", type=Path, default=ROOT / "models/fashion-mnist", help="bundle to serve")
    parser.add_argument("--clean", type=float, default=CLEAN_SECONDS, help="seconds of clean images")
    parser.add_argument("--haze", type=float, default=HAZE_SECONDS, help="seconds in which the haze thickens")
    return parser.parse_args()


if __name__ == "__main__":
    main()
