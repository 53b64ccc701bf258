"""How long networks take here, at their best."""

import time
from collections.abc import Callable
from typing import Protocol

Clock = Callable[[], float]

WORTH = 1.05
"""How many times faster another way, or a larger batch, must be to be taken: less is noise."""
_REPEATS = 10
_REPEAT_SECONDS = 0.01


class Timed(Protocol):
    """Networks that can be timed."""

    def run_blank(self, images: int) -> object:
        """Runs one batch of so many images."""

    def close(self) -> None: ...


def seconds_of(networks: Timed, images: int, clock: Clock = time.perf_counter) -> float:
    """What a batch takes at its best: whatever else runs here can only make it slower. The first run warms up."""
    networks.run_blank(images)
    times: list[float] = []
    while len(times) < 2 or (len(times) < _REPEATS and sum(times) < _REPEAT_SECONDS):
        started = clock()
        networks.run_blank(images)
        times.append(clock() - started)
    # No clock is finer than this; a fake one may stand still.
    return max(min(times), 1e-9)
