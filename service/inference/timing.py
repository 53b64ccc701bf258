"""How long networks take here: where much is going on, and where little is."""

import statistics
import time
from collections.abc import Callable
from threading import Event
from typing import Protocol

Clock = Callable[[], float]

WORTH = 1.05
"""How many times faster another way, or a larger batch, must be to be taken: less is noise."""
PAUSE_SECONDS = 0.002
"""Between single images: without one, caches are warm and other threads awake, as never where little goes on."""
_REPEATS = 10
_REPEAT_SECONDS = 0.01


class Timed(Protocol):
    """Networks that can be timed."""

    def run_blank(self, images: int) -> object:
        """Runs one batch of so many images."""

    def close(self) -> None: ...


def seconds_of(networks: Timed, images: int, clock: Clock = time.perf_counter) -> float:
    """What a batch takes at its best, one after the other: whatever else runs here can only make it slower."""
    return min(_times(networks, images, 0.0, clock))


def seconds_after_pause(networks: Timed, clock: Clock = time.perf_counter) -> float:
    """What a single image takes as it finds things, the median: caches are cold, and threads have to be woken."""
    return statistics.median_low(_times(networks, 1, PAUSE_SECONDS, clock))


def _times(networks: Timed, images: int, pause: float, clock: Clock) -> list[float]:
    """Of some runs; a first one warms up."""
    networks.run_blank(images)
    times: list[float] = []
    while len(times) < 2 or (len(times) < _REPEATS and sum(times) < _REPEAT_SECONDS):
        if pause:
            # Not time.sleep, which fails where a preloaded library fakes the clock.
            Event().wait(pause)
        started = clock()
        networks.run_blank(images)
        # No clock is finer than this; a fake one may stand still.
        times.append(max(clock() - started, 1e-9))
    return times
