"""Answers go into the database: all at once, or in ever smaller parts where it refuses one of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine

from service.journal.database import is_fault_of_a_row, writing
from service.journal.records import AnswerRecord
from service.journal.tables import ANSWERS

_PLACES = {"qmark": "?", "format": "%s", "pyformat": "%s"}
"""What stands for a value in a statement, in each of the styles of PEP 249 that the drivers may have."""


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
    with writing(engine) as connection:
        if not answers:  # and the database has been asked whether it is there
            return 0
        # Counting is three times as fast on PostgreSQL as having the new keys returned.
        options = {"preserve_rowcount": True}
        return connection.exec_driver_sql(_insert_new(connection), list(answers), options).rowcount


def _insert_new(connection: Connection) -> str:
    """Inserts records, of which it leaves those alone whose request id is there already.

    As a text for the driver, which takes the records as they are: from an expression SQLAlchemy makes a dictionary of
    each, then the driver's row of that, and takes longer than the database.
    """
    place = _PLACES[connection.dialect.paramstyle]
    names, places = ", ".join(AnswerRecord._fields), ", ".join(place for _ in AnswerRecord._fields)
    return f"INSERT INTO {ANSWERS.name} ({names}) VALUES ({places}) ON CONFLICT DO NOTHING"
