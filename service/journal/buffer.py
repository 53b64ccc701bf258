"""Answers between the request that made them and the database: bounded, and never in the request's way."""

import threading
from collections.abc import Iterable

from service.journal.records import AnswerRecord, DropReason


class AnswerBuffer:
    """Holds answers until the writer says that they are written.

    The lock is held for some instructions, never while anything is written: nobody waits for it.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        # By request id, in the order of arrival.
        self._arriving: dict[str, AnswerRecord] = {}
        self._in_writing: dict[str, AnswerRecord] = {}

    def __len__(self) -> int:
        return len(self._arriving) + len(self._in_writing)

    def __contains__(self, request_id: str) -> bool:
        with self._lock:
            return request_id in self._arriving or request_id in self._in_writing

    def add(self, answers: Iterable[AnswerRecord]) -> dict[DropReason, int]:
        """Takes answers in; how many not, as it is full or holds an answer of the same request id."""
        duplicate = full = 0
        with self._lock:
            arriving, in_writing = self._arriving, self._in_writing
            room = self._limit - len(self)
            for answer in answers:
                request_id = answer.request_id
                if request_id in arriving or request_id in in_writing:
                    duplicate += 1
                elif room <= 0:
                    full += 1
                else:
                    arriving[request_id] = answer
                    room -= 1
        return {DropReason.duplicate: duplicate, DropReason.buffer_full: full}

    def take(self) -> list[AnswerRecord]:
        """All there is, to be written by the one thread that does so now; it stays inside until `forget` is called."""
        with self._lock:
            # Something is in writing already where the last attempt failed.
            self._in_writing = self._in_writing | self._arriving if self._in_writing else self._arriving
            self._arriving = {}
            taken = self._in_writing
        return list(taken.values())

    def forget(self, answers: Iterable[AnswerRecord]) -> None:
        """Lets go of answers that `take` gave: they are written, or never will be."""
        for answer in answers:
            del self._in_writing[answer.request_id]
