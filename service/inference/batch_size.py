"""How many images run at once at most: as many as pay, and on a CPU none that keep the next ones waiting for long."""

import time
from collections.abc import Iterator

from service.inference.timing import WORTH, Clock, Timed, seconds_of

BATCH_SECONDS = 0.25
"""How long a batch may take on a CPU, where it is more than one image. What the images of a batch share there is gone
within a few; those that come meanwhile are decoded, and wait for all of it."""


def batch_in_time(alone: float, max_batch: int) -> int:
    """The batch that a CPU answers in time, by the seconds that one image takes alone.

    >>> batch_in_time(0.0004, max_batch=32), batch_in_time(0.05, max_batch=32), batch_in_time(0.4, max_batch=32)
    (32, 5, 1)
    """
    return max(1, min(max_batch, int(BATCH_SECONDS / alone)))


def largest_batch(networks: Timed, max_batch: int, clock: Clock = time.perf_counter) -> int:
    """The batch up to which images/s still grow; on a GPU more of them only wait longer, or exhaust its memory.

    >>> class Saturated:                       # 1 ms for up to 8 images at once
    ...     now = 0.0
    ...     def run_blank(self, images):
    ...         self.now += 0.001 * max(1, images / 8)
    ...     def close(self): ...
    >>> networks = Saturated()
    >>> largest_batch(networks, 128, clock=lambda: networks.now)
    8
    """
    best, best_rate = 1, 0.0
    for images in _doubling(max_batch):
        try:
            rate = images / seconds_of(networks, images, clock)
        except Exception:  # noqa: BLE001 - onnxruntime has no class of its own for memory that is exhausted
            break
        if rate < best_rate * WORTH:
            break
        best, best_rate = images, rate
    return best


def _doubling(limit: int) -> Iterator[int]:
    """1, 2, 4, ... and the limit itself."""
    images = 1
    while images < limit:
        yield images
        images *= 2
    yield limit
