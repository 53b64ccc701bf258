"""The database under the journal, SQLite or PostgreSQL: how to open it, ask it, and read its errors."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, exc, make_url

from service.journal.records import DropReason, JournalAway

WAIT_SECONDS = 5
"""How long anything waits for a connection, or for somebody else's lock."""

_WANTED = "sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME"
_AWAY = (exc.DBAPIError, exc.TimeoutError, OSError)
# A server that vanished from the network is noticed in seconds, not in the quarter of an hour TCP takes by itself.
_POSTGRESQL = {
    "connect_timeout": WAIT_SECONDS,
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 10_000,
    "application_name": "trustserve",
    "options": f"-c lock_timeout={WAIT_SECONDS}s -c statement_timeout=60s",
}
_SQLITE_FULL, _SQLITE_BUSY, _SQLITE_LOCKED = 13, 5, 6
_POSTGRESQL_REASONS = {"53100": DropReason.disk_full, "55P03": DropReason.locked}


def open_engine(url: str) -> Engine:
    """The database at a URL; nothing is connected yet.

    Raises:
        ValueError: the URL is of no database that the journal can use.
    """
    try:
        parsed = make_url(url)
    except exc.ArgumentError:
        # Not shown: it may hold a password, wherever that ends.
        raise ValueError(f"the journal's URL cannot be read; wanted {_WANTED}") from None
    if parsed.get_backend_name() == "sqlite" and parsed.database not in (None, "", ":memory:"):
        return _open_sqlite(parsed)
    if parsed.get_backend_name() == "postgresql":
        return _create_engine(parsed, _POSTGRESQL)
    raise ValueError(f"journal is {parsed.render_as_string(hide_password=True)!r}; wanted {_WANTED}")


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that may write; committed at the end, undone on an error."""
    with engine.connect() as connection, connection.execution_options(writes=True).begin():
        yield connection


@contextmanager
def away_is_told() -> Iterator[None]:
    """Turns errors of the database into one the caller knows.

    Raises:
        JournalAway: the database cannot be asked now.
    """
    try:
        yield
    except _AWAY as error:
        if is_fault_of_a_row(error):
            raise
        raise JournalAway(f"the journal cannot be asked now: {summary(error)}") from error


def is_fault_of_a_row(error: Exception) -> bool:
    """Whether the database refuses what it was given (nan, a null character), while it would take something else."""
    return not isinstance(error, _AWAY) or isinstance(error, exc.DataError | exc.IntegrityError)


def reason_of(error: Exception) -> DropReason:
    """Why the database takes nothing now."""
    cause = getattr(error, "orig", None)
    # The low byte is the kind of error, the rest its variety.
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    if code == _SQLITE_FULL:
        return DropReason.disk_full
    if code in (_SQLITE_BUSY, _SQLITE_LOCKED):
        return DropReason.locked
    return _POSTGRESQL_REASONS.get(getattr(cause, "sqlstate", None) or "", DropReason.database_away)


def summary(error: Exception) -> str:
    """The first line of what went wrong, without the statement and its values."""
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _create_engine(url: URL, defaults: Mapping[str, Any]) -> Engine:
    # What the URL says itself goes first.
    arguments = {name: value for name, value in defaults.items() if name not in url.query}
    return create_engine(url, connect_args=arguments, pool_pre_ping=True, pool_timeout=WAIT_SECONDS)


def _open_sqlite(url: URL) -> Engine:
    engine = _create_engine(url, {"timeout": WAIT_SECONDS})
    folder = Path(str(url.database)).parent

    @event.listens_for(engine, "do_connect")
    def make_folder(*_: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        # The driver would open transactions at moments of its own choice.
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode = WAL")
        # One sync a commit, off the request path: a label that was acknowledged outlives a power cut too.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that reads first and writes later fails at once where another one wrote between.
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
