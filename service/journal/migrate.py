"""Brings a database to today's tables, on every open: an empty one gets them, one of an older version is migrated.

A change of tables is a change of `tables.py` and a new file in `migrations/versions/`, never a change of an old one:
both ways lead to the same tables.
"""

import threading
from pathlib import Path

from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, String, Table, insert, inspect, select, text

from service.journal.tables import METADATA

# Any number that no other program takes: two processes that open the journal at once migrate one after the other.
_ADVISORY_LOCK = 7_283_451_906
_MIGRATIONS = Path(__file__).parent / "migrations"

# As Alembic makes it.
_VERSION = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)

# Alembic keeps what it works on in its module.
_one_at_a_time = threading.Lock()


def migrate(connection: Connection) -> None:
    """Makes the tables, or runs the migrations that are missing, inside the caller's writing transaction.

    Raises:
        alembic.util.CommandError: a newer version of trustserve wrote this journal.
    """
    # SQLite needs none: a writing transaction is alone there.
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    if not inspect(connection).has_table(_VERSION.name):
        _create(connection)
    elif connection.scalar(select(_VERSION.c.version_num)) != _newest():
        with _one_at_a_time:
            _upgrade(connection)


def _newest() -> str:
    return max(file.name for file in (_MIGRATIONS / "versions").glob("v*.py"))[1:5]


def _create(connection: Connection) -> None:
    METADATA.create_all(connection, checkfirst=False)
    _VERSION.create(connection)
    connection.execute(insert(_VERSION).values(version_num=_newest()))


def _upgrade(connection: Connection) -> None:
    # Only here: it takes a fifth of a second and eleven megabytes, and most starts have nothing to migrate.
    from alembic import command
    from alembic.config import Config

    made = Config()
    # Percent signs mean interpolation to the parser behind it.
    made.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    made.attributes["connection"] = connection
    command.upgrade(made, "head")
