"""Answers go into the database: all at once, or in ever smaller parts where it refuses one of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter

from sqlalchemy import Engine

from service.journal.database import is_fault_of_a_row, writing
from service.journal.records import AnswerRecord
from service.journal.tables import ANSWERS, insert_new

_NAMES = [field.name for field in fields(AnswerRecord)]
_values = attrgetter(*_NAMES)


@dataclass(frozen=True, slots=True)
class Inserted:
    """Some answers that need not be written any more, and how many of them are in the database, or why not."""

    answers: Sequence[AnswerRecord]
    written: int = 0
    duplicate: int = 0
    refused: int = 0


def insert_answers(engine: Engine, answers: Sequence[AnswerRecord]) -> Iterator[Inserted]:
    """Inserts answers, a transaction at each step; where a request id was used before, the first answer stays.

    Raises:
        sqlalchemy.exc.DBAPIError: the database takes nothing now; what was yielded before is done.
    """
    try:
        written = _insert(engine, answers)
    except Exception as error:
        if not is_fault_of_a_row(error):
            raise
    else:
        yield Inserted(answers, written=written, duplicate=len(answers) - written)
        return
    if len(answers) == 1:
        yield Inserted(answers, refused=1)
        return
    half = len(answers) // 2
    yield from insert_answers(engine, answers[:half])
    yield from insert_answers(engine, answers[half:])


def _insert(engine: Engine, answers: Sequence[AnswerRecord]) -> int:
    """How many were new."""
    rows = [dict(zip(_NAMES, _values(answer), strict=True)) for answer in answers]
    with writing(engine) as connection:
        if not rows:  # and the database has been asked whether it is there
            return 0
        # Counting is three times as fast on PostgreSQL as having the new keys returned.
        insert = insert_new(connection, ANSWERS).execution_options(preserve_rowcount=True)
        return connection.execute(insert, rows).rowcount
