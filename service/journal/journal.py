"""The journal: keeps answers until their labels come, off the request path.

`record` puts answers into a bounded buffer, a thread writes the buffer out twice a second, `label` joins. A database
that is away, full or locked costs answers only once the buffer is full; they are counted, and nobody else notices.
"""

import time
from collections.abc import Callable, Sequence

from sqlalchemy import Engine

from service.journal.buffer import AnswerBuffer
from service.journal.columns import read_labelled
from service.journal.database import away_is_told, open_engine, writing
from service.journal.labels import keep_labels
from service.journal.records import AnswerRecord, DropReason, JournalCounts, Label, Labelled, LabelledColumns
from service.journal.retention import Retention
from service.journal.tally import Tally
from service.journal.writer import Writer


class Journal:
    """One open journal; `open_journal` makes it. Any thread may call it."""

    def __init__(self, engine: Engine, retention: Retention, buffer: int, clock: Callable[[], float]) -> None:
        self._engine = engine
        self._retention = retention
        self._clock = clock
        self._tally = Tally()
        self._buffer = AnswerBuffer(buffer)
        self._hurry_at = (buffer + 1) // 2
        self._writer = Writer(engine, self._buffer, self._tally, retention, clock)
        self._writer.start()
        self._closed = False

    @property
    def counts(self) -> JournalCounts:
        """What was written and dropped since it was opened, for the metrics."""
        return JournalCounts(self._tally.written, self._tally.dropped, len(self._buffer), self._writer.is_up)

    def record(self, *answers: AnswerRecord) -> None:
        """Keeps answers: never blocks, never raises; committed within a second, or dropped and counted."""
        if self._closed:
            self._tally.drop(DropReason.closed, len(answers))
            return
        for reason, dropped in self._buffer.add(answers).items():
            if dropped:
                is_full = reason is DropReason.buffer_full
                self._tally.drop((is_full and self._writer.trouble) or reason, dropped)
        if len(self._buffer) >= self._hurry_at:
            self._writer.hurry()

    def label(self, labels: Sequence[Label]) -> list[Labelled]:
        """What becomes of each label, in their order; blocks, so call it in a thread.

        The first label of an answer is kept, whichever process brings it; see `Outcome` for the others. An answer that
        this process made is known at once, another process's once that one has committed it: within a second.

        `expired` is a label for an answer older than `days`, or for one that has left the journal: its request id alone
        is remembered, for another `days` and up to `rows` of them. After that, and where no answer ever had the id,
        the label is `unknown`.

        Raises:
            JournalAway: the database cannot be asked; none of these labels was kept.
        """
        self._writer.check()
        if any(label.request_id in self._buffer for label in labels):
            self._writer.write_now()
        now = self._clock()
        with away_is_told(), writing(self._engine) as connection:
            return keep_labels(connection, labels, now, self._retention.oldest(now))

    def labelled(self, model: str, version: str, since: float, until: float, limit: int = 100_000) -> LabelledColumns:
        """Labelled answers of a model's version, in the order of their time; blocks.

        Args:
            since, until: the answer's time in [since, until), epoch seconds.
            limit: most rows; the newest, where there are more.

        Raises:
            JournalAway: the database cannot be asked.
        """
        self._writer.check()
        with away_is_told(), self._engine.connect() as connection:
            return read_labelled(connection, model, version, since, until, limit)

    def close(self) -> None:
        """Writes what is buffered, waits for it some seconds at most, and stops."""
        if not self._closed:
            self._closed = True
            self._writer.stop()
            self._engine.dispose()


def open_journal(
    url: str,
    days: float = 30,
    rows: int = 1_000_000,
    buffer: int = 10_000,
    clock: Callable[[], float] = time.time,
) -> Journal:
    """The journal at a database URL; the database may be away, and is migrated once it is there.

    Args:
        url: sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME (`Settings.journal_url`).
        days, rows: retention, by age and by count.
        buffer: most answers that wait to be written.
        clock: the time, epoch seconds.

    Raises:
        ValueError: the URL is of no database that the journal can use.
    """
    return Journal(open_engine(url), Retention(days, rows), buffer, clock)
