"""The monitor's thread, beside the requests: folds what came, shows drift and journal, saves."""

import asyncio
import logging
import math
import threading
import time
from collections.abc import Callable

from service.journal.journal import Journal
from service.monitor.comparison import distances
from service.monitor.live import Live
from service.monitor.memory import Memory
from service.monitor.metrics import Metrics
from service.monitor.model_metrics import ModelMetrics
from service.monitor.subject import Subject

LOOK_SECONDS = 0.05
"""How long many answers may wait until they are counted and handed to the journal. While they are folded requests wait
for Python: the more there are, the longer."""
MANY = 32
LOOKS_FOR_FEW = 5
"""After how many looks fewer are folded as well, which costs hardly less: a millisecond, when the networks' work has
just driven everything else out of the cache. A kill costs the figures that long, or that many."""
LOOKS_A_TICK = 20
DRIFT_TICKS = 10
DRIFT_WINDOW_SECONDS = 3600
DRIFT_GAUGES = ("psi", "jensen_shannon", "chi_square")
"""Prometheus forms the others by itself, over any window, from histograms and the reference's cumulative shares."""

_logger = logging.getLogger("trustserve")


class Background:
    """Works from `start` to `close`: folds several times a second, and does the rest once a second or more rarely.

    Args:
        live: whose answers are folded.
        process_metrics: those of no model, where the journal's counts go.
        subject, memory, metrics, journal, minimum, clock: as in `Live`.
    """

    def __init__(
        self,
        live: Live,
        process_metrics: Metrics,
        subject: Subject,
        memory: Memory,
        metrics: ModelMetrics,
        journal: Journal | None,
        minimum: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._live, self._subject, self._memory = live, subject, memory
        self._process_metrics, self._metrics, self._journal = process_metrics, metrics, journal
        self._minimum, self._clock = minimum, clock
        self._thread = threading.Thread(target=self._run, name="monitor", daemon=True)
        self._stopping = threading.Event()
        self._looks = self._ticks = 0
        self._shown: set[tuple[str, str]] = set()

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    async def close(self) -> None:
        """Folds and saves what is left, takes the bundle's gauges away, and stops; the journal stays open."""
        await asyncio.to_thread(self._close)

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            try:
                self._work()
            except Exception:
                _logger.exception("the monitor's work beside the requests failed; it is tried again")

    def _work(self) -> None:
        self._looks += 1
        if self._looks % LOOKS_FOR_FEW == 0 or self._live.waiting >= MANY:
            self._live.fold()
        if self._looks % LOOKS_A_TICK == 0:
            self._tick()

    def _tick(self) -> None:
        if self._journal is not None:
            self._process_metrics.journal(self._journal.counts)
        if self._ticks % DRIFT_TICKS == 0:
            self.show_drift()
        self._ticks += 1
        self._memory.save_if_due()

    def show_drift(self) -> None:
        """Shows the last hour's distances from the reference; not a number where too few answers came."""
        sums, _ = self._memory.sums(DRIFT_WINDOW_SECONDS, self._clock())
        if sums.total("answers") < self._minimum:
            for score, statistic in self._shown:
                self._metrics.drift(score, statistic, math.nan)
            return
        for score, statistics in distances(
            sums, self._subject.reference, len(self._subject.novelties), len(self._subject.image_novelties)
        ).items():
            for statistic in DRIFT_GAUGES:
                if found := statistics.get(statistic):
                    self._metrics.drift(score, statistic, found.value, found.threshold)
                    self._shown.add((score, statistic))

    def _close(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._live.fold()
        self._memory.save()
        self._memory.close()
        self._metrics.close()
