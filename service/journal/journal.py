"""The journal: keeps answers until their labels come, off the request path."""

from collections.abc import Sequence

from service.journal.records import AnswerRecord, JournalCounts, Label, Labelled, LabelledColumns


class Journal:
    """One open journal; made by `open_journal`."""

    @property
    def counts(self) -> JournalCounts:
        """What was written and dropped since it was opened, for the metrics."""
        raise NotImplementedError

    def record(self, answer: AnswerRecord) -> None:
        """Keeps an answer: never blocks, never raises; committed within a second, or dropped and counted."""
        raise NotImplementedError

    def label(self, labels: Sequence[Label]) -> list[Labelled]:
        """What becomes of each label, in their order; blocks, so call it in a thread.

        Raises:
            JournalAway: the database cannot be asked; nothing of these labels was kept.
        """
        raise NotImplementedError

    def labelled(self, model: str, version: str, since: float, until: float, limit: int = 100_000) -> LabelledColumns:
        """Labelled answers of [since, until), epoch seconds of the answer; the newest `limit`. Blocks.

        Raises:
            JournalAway: the database cannot be asked.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Writes what is buffered, waits for it a few seconds, and stops."""
        raise NotImplementedError


def open_journal(url: str, days: float = 30, rows: int = 1_000_000, buffer: int = 10_000) -> Journal:
    """The journal at a database URL; the database need not be there yet.

    Args:
        url: sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME (`Settings.journal_url`).
        days, rows: retention, by age and by count.
        buffer: most answers that wait to be written.
    """
    raise NotImplementedError
