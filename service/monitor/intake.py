"""Answers between the thread that makes them and the monitor: all that the request path pays for monitoring."""

import threading
from collections.abc import Sequence
from typing import NamedTuple

from service.answer import Answer

MOST_WAITING = 20_000
"""Answers, several seconds of a fast service: more come only where the fold stalled, and nobody reads the figures."""


class Batch(NamedTuple):
    """Answers that one run of the networks gave."""

    at: float  # seconds since the epoch
    request_ids: Sequence[str]
    answers: Sequence[Answer]  # as many, in the same order


class Intake:
    """Holds batches until they are folded; bounded, so that a fold that stalls costs figures and never memory.

    The lock is held for some instructions, never while anything is counted: nobody waits for it.

    Args:
        limit: most answers that wait.
    """

    def __init__(self, limit: int = MOST_WAITING) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._batches: list[Batch] = []
        self._waiting = self._dropped = 0

    def add(self, batch: Batch) -> None:
        """Takes a batch in, or counts it as dropped where it finds no room."""
        with self._lock:
            waiting = self._waiting + len(batch.answers)
            if waiting > self._limit:
                self._dropped += len(batch.answers)
            else:
                self._batches.append(batch)
                self._waiting = waiting

    def take(self) -> tuple[list[Batch], int]:
        """What came since it was called last, in the order of arrival, and how many answers found no room."""
        with self._lock:
            taken = self._batches, self._dropped
            self._batches, self._waiting, self._dropped = [], 0, 0
        return taken
