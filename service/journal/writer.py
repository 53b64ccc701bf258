"""The writer: a thread that brings what is buffered into the database, and lets old answers go."""

import logging
import threading
import time
from collections.abc import Callable, Iterator

from sqlalchemy import Engine

from service.journal.answers import Inserted, insert_answers
from service.journal.buffer import AnswerBuffer
from service.journal.database import WAIT_SECONDS, reason_of, summary, writing
from service.journal.migrate import migrate
from service.journal.records import DropReason, JournalAway
from service.journal.retention import Retention, sweep
from service.journal.tally import Tally

COMMIT_SECONDS = 0.5
"""Between two commits: half of the second that may be lost. A quarter of it answers may have waited for the monitor's
fold before they came here, so that the commit itself may take the last quarter."""
SWEEP_SECONDS = 60.0
"""Between two looks at what is past the retention."""

_logger = logging.getLogger("trustserve")


class Writer:
    """Writes the buffer out twice a second and survives whatever becomes of the database.

    Args:
        clock: the time, epoch seconds.
    """

    def __init__(
        self, engine: Engine, buffer: AnswerBuffer, tally: Tally, retention: Retention, clock: Callable[[], float]
    ) -> None:
        self._engine = engine
        self._buffer = buffer
        self._tally = tally
        self._retention = retention
        self._clock = clock
        self._trouble: DropReason | None = None
        self._why = ""
        self._migrated = False
        self._sweep: Iterator[int] = iter(())
        self._sweep_due = time.monotonic()
        self._writing = threading.Lock()
        self._tried = threading.Event()
        self._wanted = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    @property
    def trouble(self) -> DropReason | None:
        """Why nothing could be written lately; None: all is well."""
        return self._trouble

    @property
    def is_up(self) -> bool:
        """Whether the database was there when it was tried last, about a second ago."""
        return self._tried.is_set() and self._trouble is None

    def start(self) -> None:
        """Begins to write."""
        self._thread.start()

    def stop(self) -> None:
        """Writes what is there once more and ends, within seconds; what cannot be written is counted as dropped."""
        self._stopping = True
        self._wanted.set()
        self._thread.join(2 * WAIT_SECONDS)
        if left := len(self._buffer):
            self._tally.drop(DropReason.closed, left)
            _logger.warning("journal: %d answers could not be written: %s", left, self._why or "too slow")

    def hurry(self) -> None:
        """Has the thread write soon, and does not wait for it."""
        self._wanted.set()

    def write_now(self) -> None:
        """Writes what is buffered, in the caller's thread.

        Raises:
            JournalAway: it could not be written, and stays in the buffer.
        """
        if not self._writing.acquire(timeout=WAIT_SECONDS):
            raise JournalAway(f"the journal has been writing for more than {WAIT_SECONDS} s; try again shortly")
        try:
            self._write()
        finally:
            self._writing.release()
        self.check()

    def check(self) -> None:
        """Waits until the database has been tried for the first time.

        Raises:
            JournalAway: it could not be used when it was tried last.
        """
        if not self._tried.wait(WAIT_SECONDS):
            raise JournalAway("the journal's database has not answered yet; try again shortly")
        if self._trouble is not None:
            raise JournalAway(f"the journal's database cannot be used now: {self._why}")

    def _run(self) -> None:
        while not self._stopping:
            next_commit = time.monotonic() + COMMIT_SECONDS
            with self._writing:
                self._write()
            if self._trouble is None:
                self._let_old_answers_go(until=next_commit)
            self._wanted.wait(max(0.0, next_commit - time.monotonic()))
            self._wanted.clear()
        with self._writing:
            self._write()

    def _write(self) -> None:
        """Commits what is buffered; asks the database even where there is nothing, so that `trouble` is never old."""
        answers = self._buffer.take()
        try:
            if not self._migrated:
                with writing(self._engine) as connection:
                    migrate(connection)
                self._migrated = True
            for inserted in insert_answers(self._engine, answers):
                self._count(inserted)
        except Exception as error:  # noqa: BLE001 - whatever it is, the answers stay in the buffer
            self._fail(error)
        else:
            self._succeed()
        self._tried.set()

    def _count(self, inserted: Inserted) -> None:
        self._buffer.forget(inserted.answers)
        self._tally.write(inserted.written)
        self._tally.drop(DropReason.duplicate, inserted.duplicate)
        self._tally.drop(DropReason.refused, inserted.refused)

    def _let_old_answers_go(self, until: float) -> None:
        """Goes on with the retention, by a piece at least."""
        if time.monotonic() >= self._sweep_due:
            self._sweep_due = time.monotonic() + SWEEP_SECONDS
            self._sweep = sweep(self._engine, self._retention, self._clock())
        try:
            started = time.monotonic()
            while next(self._sweep, None) is not None and (now := time.monotonic()) < until:
                # Rests as long as it worked: others want the database, and the processor, too.
                if self._wanted.wait(now - started):
                    return
                started = time.monotonic()
        except Exception as error:  # noqa: BLE001 - the next sweep goes on
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        reason, self._why = reason_of(error), summary(error)
        if reason != self._trouble:
            _logger.warning("journal: the database cannot be used (%s): %s; answers wait", reason, self._why)
        self._trouble = reason
        # It may come back empty, or older.
        self._migrated = False

    def _succeed(self) -> None:
        if self._trouble is not None:
            _logger.warning("journal: the database is back")
        self._trouble = None
