"""Brings a database to today's tables, on every open: an empty one and one of an older version alike.

A change of tables is a new file in `migrations/versions/`, never a change of an old one.
"""

import threading
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

# Any number that no other program takes: two processes that open the journal at once migrate one after the other.
_ADVISORY_LOCK = 7_283_451_906

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
        command.upgrade(_config(connection), "head")


def _config(connection: Connection) -> Config:
    made = Config()
    # Percent signs mean interpolation to the parser behind it.
    folder = str(Path(__file__).parent / "migrations").replace("%", "%%")
    made.set_main_option("script_location", folder)
    made.attributes["connection"] = connection
    return made
