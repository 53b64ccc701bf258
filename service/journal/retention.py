"""Retention: answers leave the journal by age and by count, in pieces so small that nobody waits for one.

Of an answer that leaves, its request id stays for as long again, so that a label that comes late is told from one for
an answer that never was. Everything else of it goes, its label too.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Table, bindparam, delete, select

from service.journal.database import writing
from service.journal.tables import ANSWERS, EXPIRED, insert_new

PIECE = 250
"""Rows removed in one transaction: some hundredths of a second."""
SECONDS_A_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Retention:
    """What may stay: the newest `rows` answers, as long as they are at most `days` old."""

    days: float
    rows: int

    def oldest(self, now: float) -> float:
        """From when on an answer is young enough, epoch seconds."""
        return now - self.days * SECONDS_A_DAY


def sweep(engine: Engine, retention: Retention, now: float) -> Iterator[int]:
    """Removes what may not stay, a transaction at each step; yields how many rows it took."""
    oldest = max(retention.oldest(now), _time_of_rank(engine, ANSWERS, retention.rows))
    yield from _pieces(engine, ANSWERS, oldest, _expire)
    twice_as_old = Retention(2 * retention.days, retention.rows).oldest(now)
    oldest = max(twice_as_old, _time_of_rank(engine, EXPIRED, retention.rows))
    yield from _pieces(engine, EXPIRED, oldest, _forget)


def _pieces(
    engine: Engine, table: Table, oldest: float, remove: Callable[[Connection, list[dict[str, Any]]], None]
) -> Iterator[int]:
    """Removes the rows from before a time, oldest first."""
    query = select(table.c.request_id, table.c.answered_at).where(table.c.answered_at < oldest)
    # Rows that another process labels or removes right now are left to it, or to the next sweep.
    query = query.order_by(table.c.answered_at).limit(PIECE).with_for_update(skip_locked=True)
    while True:
        with writing(engine) as connection:
            rows = [row._asdict() for row in connection.execute(query)]
            if not rows:
                return
            remove(connection, rows)
        yield len(rows)


def _expire(connection: Connection, rows: list[dict[str, Any]]) -> None:
    connection.execute(insert_new(connection, EXPIRED), rows)
    _delete(connection, ANSWERS, rows)


def _forget(connection: Connection, rows: list[dict[str, Any]]) -> None:
    _delete(connection, EXPIRED, rows)


def _delete(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    # Not `in_`: each such statement is 17 kB that only the garbage collector finds, which looks every 20,000 objects.
    one = delete(table).where(table.c.request_id == bindparam("request_id"))
    connection.execute(one, [{"request_id": row["request_id"]} for row in rows])


def _time_of_rank(engine: Engine, table: Table, rank: int) -> float:
    """The time of the row of that rank, the newest being the first; minus infinity where there are fewer."""
    newest_first = select(table.c.answered_at).order_by(table.c.answered_at.desc()).offset(rank - 1).limit(1)
    with engine.connect() as connection:
        time: float | None = connection.execute(newest_first).scalar()
    return float("-inf") if time is None else time
