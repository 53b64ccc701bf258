"""Brings a database to today's tables, on every open: an empty one and one of an older version alike.

A change of tables is a new file in `migrations/versions/`, never a change of an old one.
"""

import threading
from pathlib import Path

from sqlalchemy import Connection, inspect, text

# Any number that no other program takes: two processes that open the journal at once migrate one after the other.
_ADVISORY_LOCK = 7_283_451_906
_MIGRATIONS = Path(__file__).parent / "migrations"

# Alembic keeps what it works on in its module.
_one_at_a_time = threading.Lock()


def migrate(connection: Connection) -> None:
    """Runs the migrations that are missing, inside the caller's writing transaction.

    Raises:
        alembic.util.CommandError: a newer version of trustserve wrote this journal.
    """
    # SQLite needs none: a writing transaction is alone there.
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    with _one_at_a_time:
        if not _is_current(connection):
            _upgrade(connection)


def _is_current(connection: Connection) -> bool:
    newest = max(file.name for file in (_MIGRATIONS / "versions").glob("v*.py"))[1:5]
    if not inspect(connection).has_table("alembic_version"):
        return False
    return bool(connection.scalar(text("SELECT version_num FROM alembic_version")) == newest)


def _upgrade(connection: Connection) -> None:
    # Only here: it takes a tenth of a second and eleven megabytes, and most starts have nothing to migrate.
    from alembic import command
    from alembic.config import Config

    made = Config()
    # Percent signs mean interpolation to the parser behind it.
    made.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    made.attributes["connection"] = connection
    command.upgrade(made, "head")
