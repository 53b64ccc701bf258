"""Answers go into the database: all at once, or one by one where it refuses one of them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from operator import attrgetter

from sqlalchemy import Connection

from service.journal.database import is_fault_of_a_row
from service.journal.records import AnswerRecord
from service.journal.tables import ANSWERS, insert_new

_NAMES = [field.name for field in fields(AnswerRecord)]
_values = attrgetter(*_NAMES)


@dataclass(frozen=True, slots=True)
class Inserted:
    """How many of some answers are in the database now, or for which reason not."""

    written: int
    duplicate: int
    refused: int


def insert_answers(connection: Connection, answers: Sequence[AnswerRecord]) -> Inserted:
    """Inserts answers in the caller's transaction; where a request id was used before, the first answer stays.

    Raises:
        sqlalchemy.exc.DBAPIError: the database takes none of them now.
    """
    if not answers:
        return Inserted(0, 0, 0)
    try:
        written = _insert(connection, answers)
    except Exception as error:
        if not is_fault_of_a_row(error):
            raise
    else:
        return Inserted(written, len(answers) - written, 0)
    return _insert_one_by_one(connection, answers)


def _insert_one_by_one(connection: Connection, answers: Sequence[AnswerRecord]) -> Inserted:
    written = refused = 0
    for answer in answers:
        try:
            written += _insert(connection, [answer])
        except Exception as error:
            if not is_fault_of_a_row(error):
                raise
            refused += 1
    return Inserted(written, len(answers) - written - refused, refused)


def _insert(connection: Connection, answers: Sequence[AnswerRecord]) -> int:
    """How many were new; none is inserted where one is refused."""
    rows = [dict(zip(_NAMES, _values(answer), strict=True)) for answer in answers]
    with connection.begin_nested():
        return len(connection.execute(insert_new(connection, ANSWERS), rows).all())
