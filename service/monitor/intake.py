"""Answers between the thread that makes them and the monitor: all that the request path pays for monitoring."""

import threading
from collections.abc import Sequence
from typing import NamedTuple

from service.inference.answer import Answer
from trust.preprocess import Pixels

MOST_WAITING = 20_000
"""Answers, several seconds of a fast service: more come only where the fold stalled, and nobody reads the figures."""

MOST_IMAGE_BYTES = 64 * 2**20
"""Of images that wait to be described: an answer that finds no room for its image is counted without."""


class Batch(NamedTuple):
    """Answers that one run of the networks gave."""

    at: float  # seconds since the epoch
    request_ids: Sequence[str]
    answers: Sequence[Answer]  # as many, in the same order
    images: Sequence[Pixels] = ()  # as many, (H, W, C) each and of one size, or none


class Intake:
    """Holds batches until they are folded; bounded, so that a fold that stalls costs figures and never memory.

    The lock is held for some instructions, never while anything is counted: nobody waits for it.

    Args:
        limit: most answers that wait.
        image_bytes: most bytes of images that wait with them.
    """

    def __init__(self, limit: int = MOST_WAITING, image_bytes: int = MOST_IMAGE_BYTES) -> None:
        self._limit, self._image_limit = limit, image_bytes
        self._lock = threading.Lock()
        self._batches: list[Batch] = []
        self._waiting = self._dropped = self._image_bytes = 0

    @property
    def waiting(self) -> int:
        """Answers that were not taken yet."""
        return self._waiting

    def add(self, batch: Batch) -> None:
        """Takes a batch in, or counts it as dropped where it finds no room."""
        size = len(batch.images) * batch.images[0].nbytes if batch.images else 0
        with self._lock:
            waiting = self._waiting + len(batch.answers)
            if waiting > self._limit:
                self._dropped += len(batch.answers)
                return
            self._waiting = waiting
            if self._image_bytes + size > self._image_limit:
                batch = batch._replace(images=())
            else:
                self._image_bytes += size
            self._batches.append(batch)

    def take(self) -> tuple[list[Batch], int]:
        """What came since it was called last, in the order of arrival, and how many answers found no room."""
        with self._lock:
            taken = self._batches, self._dropped
            self._batches, self._waiting, self._dropped, self._image_bytes = [], 0, 0, 0
        return taken
