"""Clean images, then the same ever hazier, sent to a service by a few clients, and what its monitor says of it.

Nothing here knows more than a user of the service does: images go to /predict, a few labels to /feedback, figures come
from /monitor and, where there is a Prometheus, alerts from the rules of the deployment.
"""

import json
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from demo.images import Pixels, endless, haze, labelled_images, png
from demo.service import Client, firing_alerts

CLEAN_SECONDS, HAZE_SECONDS = 30, 50
WORST_HAZE = 0.6
LABELLED_SHARE = 0.25
CLIENTS = 2
WINDOW_SECONDS = 20
HAZE_BEGINS = "haze begins"


@dataclass(frozen=True)
class Sighting:
    """Something first seen, and after how many images."""

    name: str
    seconds: float
    answered: int


@dataclass(frozen=True)
class Moment:
    """How things stand."""

    seconds: float
    haze: float
    answered: int
    accuracy: float
    """True one over the window, which a service cannot know; NaN before the first answer."""
    report: dict[str, Any]
    """Of GET /monitor."""
    seen: tuple[Sighting, ...]
    """Alarms and alerts so far."""


class Traffic:
    """Images on their way: how hazy they are, and what came of them."""

    def __init__(self) -> None:
        self.haze = 0.0
        self.stopped = False
        self.answered = 0
        self._right: deque[tuple[float, bool]] = deque()
        self._lock = threading.Lock()

    @property
    def accuracy(self) -> float:
        """Of the window's answers; NaN before the first."""
        since = time.monotonic() - WINDOW_SECONDS
        with self._lock:
            while self._right and self._right[0][0] < since:
                self._right.popleft()
            return sum(right for _, right in self._right) / len(self._right) if self._right else float("nan")

    def count(self, right: bool) -> None:
        """One more answer."""
        with self._lock:
            self.answered += 1
            self._right.append((time.monotonic(), right))


def moments(
    port: int, beside: int | None, samples: Path, clean_seconds: float, haze_seconds: float
) -> Iterator[Moment]:
    """Replays, and looks once a second.

    Args:
        port: of the service.
        beside: of Prometheus, or None.
        samples: of the bundle, for where the data set is not installed.
        clean_seconds: before the haze begins.
        haze_seconds: in which it thickens.
    """
    monitor, alerts = Client(port), None if beside is None else Client(beside)
    pixels, targets = labelled_images(monitor.get("/model")["manifest"]["classes"], samples)
    traffic, began, seen = Traffic(), time.monotonic(), list[Sighting]()
    with _clients(port, traffic, pixels, targets):
        while (seconds := time.monotonic() - began) < clean_seconds + haze_seconds:
            traffic.haze = WORST_HAZE * max(0.0, seconds - clean_seconds) / haze_seconds
            report = monitor.get(f"/monitor?window={WINDOW_SECONDS}s")
            known = {sighting.name for sighting in seen}
            # What is seen at once: the haze first, then what may have come of it.
            for name in sorted(
                _happening(traffic, report, alerts) - known, key=lambda name: (name != HAZE_BEGINS, name)
            ):
                seen.append(Sighting(name, seconds, traffic.answered))
            yield Moment(seconds, traffic.haze, traffic.answered, traffic.accuracy, report, tuple(seen))
            time.sleep(1)


def _happening(traffic: Traffic, report: dict[str, Any], alerts: Client | None) -> set[str]:
    found = {f"alarm {name}" for name, alarm in report["alarms"].items() if "raised_at" in alarm}
    if alerts is not None:
        found |= {f"Prometheus: {name}" for name in firing_alerts(alerts)}
    return found | {HAZE_BEGINS} if traffic.haze else found


@contextmanager
def _clients(port: int, traffic: Traffic, pixels: Pixels, targets: list[int]) -> Iterator[None]:
    threads = [
        threading.Thread(target=_send, args=(port, traffic, endless(pixels, targets, seed), seed), daemon=True)
        for seed in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        traffic.stopped = True
        for thread in threads:
            thread.join()


def _send(port: int, traffic: Traffic, images: Iterator[tuple[Pixels, int]], seed: int) -> None:
    """Sends one image after the other, and the labels of a few."""
    client, draw = Client(port), np.random.default_rng(seed)
    while not traffic.stopped:
        image, target = next(images)
        answer = client.post("/predict", png(haze(image, traffic.haze, draw)), "image/png")
        traffic.count(answer["class_index"] == target)
        if draw.random() < LABELLED_SHARE:
            label = {"request_id": answer["request_id"], "class_index": target, "sampling_probability": LABELLED_SHARE}
            client.post("/feedback", json.dumps(label).encode(), "application/json")
