"""What became of the answers, counted from several threads."""

import threading
from collections import Counter

from service.journal.records import DropReason


class Tally:
    """Answers written, and dropped by reason, since the journal was opened."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._written = 0
        self._dropped = Counter(dict.fromkeys(DropReason, 0))

    @property
    def written(self) -> int:
        """Answers that are in the database."""
        return self._written

    @property
    def dropped(self) -> dict[DropReason, int]:
        """Answers that are not, with a 0 for a reason that never was."""
        with self._lock:
            return dict(self._dropped)

    def write(self, answers: int) -> None:
        """Counts answers that came into the database."""
        with self._lock:
            self._written += answers

    def drop(self, reason: DropReason, answers: int = 1) -> None:
        """Counts answers that did not."""
        with self._lock:
            self._dropped[reason] += answers
