"""The monitor's work beside the requests: sums what came, shows alarms, drift and journal, saves."""

import asyncio
import logging
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from service.journal.journal import Journal
from service.monitor.comparison import distances
from service.monitor.memory import Memory
from service.monitor.metrics import Metrics
from service.monitor.subject import Subject

TICK_SECONDS = 1.0
DRIFT_TICKS = 10
DRIFT_WINDOW_SECONDS = 3600
DRIFT_GAUGES = ("psi", "jensen_shannon", "chi_square")
"""Prometheus forms the others by itself, over any window, from histograms and the reference's cumulative shares."""

_logger = logging.getLogger("trustserve")


class Background:
    """Works once a second from `start` to `close`.

    Args:
        subject, memory, metrics, journal, minimum, clock: as in `Live`.
    """

    def __init__(
        self,
        subject: Subject,
        memory: Memory,
        metrics: Metrics,
        journal: Journal | None,
        minimum: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._subject, self._memory, self._metrics, self._journal = subject, memory, metrics, journal
        self._minimum, self._clock = minimum, clock
        self._alarms = memory.alarms
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="monitor")
        self._ticking: asyncio.Task[None] | None = None
        self._ticks = 0
        self._shown: set[tuple[str, str]] = set()
        metrics.alarms(self._alarms.watches, self._alarms.threshold)
        self._show_alarms()

    def start(self) -> None:
        """Begins, on the running event loop."""
        self._ticking = asyncio.create_task(self._tick_forever())

    async def close(self) -> None:
        """Sums and saves what is left, and stops."""
        if self._ticking is not None:
            self._ticking.cancel()
            with suppress(asyncio.CancelledError):
                await self._ticking
        await asyncio.to_thread(self._close)

    async def _tick_forever(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            # Taken on the event loop, where answers change them: no half of a state is saved.
            alarms = self._alarms.to_json()
            self._show_alarms()
            try:
                await asyncio.get_running_loop().run_in_executor(self._thread, self._tick, alarms)
            except Exception:
                _logger.exception("the monitor's work beside the requests failed; it is tried again")

    def _tick(self, alarms: str) -> None:
        self._memory.fold(self._clock())
        if self._journal is not None:
            self._metrics.journal(self._journal.counts)
        if self._ticks % DRIFT_TICKS == 0:
            self.show_drift()
        self._ticks += 1
        self._memory.save_if_due(alarms)

    def show_drift(self) -> None:
        """Shows the last hour's distances from the reference; not a number where too few answers came."""
        sums, _ = self._memory.sums(DRIFT_WINDOW_SECONDS, self._clock())
        if sums.total("answers") < self._minimum:
            for score, statistic in self._shown:
                self._metrics.drift(score, statistic, math.nan)
            return
        for score, statistics in distances(sums, self._subject.reference, len(self._subject.novelties)).items():
            for statistic in DRIFT_GAUGES:
                if found := statistics.get(statistic):
                    self._metrics.drift(score, statistic, found.value, found.threshold)
                    self._shown.add((score, statistic))

    def _show_alarms(self) -> None:
        for name, watch in self._alarms.watches.items():
            self._metrics.alarm(name, watch.level, watch.active)

    def _close(self) -> None:
        self._thread.shutdown()
        self._memory.fold(self._clock())
        self._memory.save(self._alarms.to_json())
        self._memory.close()
        if self._journal is not None:
            self._journal.close()
