"""Databases come to look as the code expects, however many processes open them."""

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

import service.journal.migrate
from service.journal.database import writing
from service.journal.migrate import migrate
from service.journal.records import Label
from service.journal.tables import METADATA
from tests.service.journal.examples import answer
from tests.waiting import wait_until


def test_migrated_database_has_the_tables_of_the_code(engine):
    for _ in range(2):
        with writing(engine) as connection:
            migrate(connection)
            options = {"compare_type": True, "compare_server_default": True}
            assert compare_metadata(MigrationContext.configure(connection, opts=options), METADATA) == []


def test_tables_that_are_made_are_those_that_all_migrations_make(engine):
    with writing(engine) as connection:
        migrate(connection)
    made = _schema(engine)
    with writing(engine) as connection:
        for table in ("labels", "answers", "expired", "alembic_version"):
            connection.execute(text(f"DROP TABLE {table}"))
        service.journal.migrate._upgrade(connection)
    assert "ix_answers_answered_at" in made
    assert made == _schema(engine)


def test_processes_that_open_a_new_journal_at_once_share_it(url, open_one):
    with ThreadPoolExecutor(4) as threads:
        journals = list(threads.map(lambda _: open_one(url), range(4)))
    journals[0].record(answer("a"))
    wait_until(lambda: journals[0].counts.written == 1)
    assert [journal.label([Label("a", 1)])[0].outcome for journal in journals] == ["accepted"] + ["repeated"] * 3


def test_migration_that_fails_leaves_nothing_behind(engine):
    with suppress(ZeroDivisionError), writing(engine) as connection:
        migrate(connection)
        raise ZeroDivisionError
    with engine.connect() as connection:
        assert MigrationContext.configure(connection).get_current_revision() is None
        assert not engine.dialect.get_table_names(connection)


NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("answers", sa.Column("camera", sa.Text, nullable=True))
"""


def test_journal_of_an_older_version_is_brought_up_to_date(url, engine, open_one, monkeypatch, tmp_path):
    older = open_one(url)
    older.record(answer("kept"))
    older.close()
    newer = Path(shutil.copytree(service.journal.migrate._MIGRATIONS, tmp_path / "migrations"))
    (newer / "versions" / "v0002_camera.py").write_text(NEXT)
    monkeypatch.setattr(service.journal.migrate, "_MIGRATIONS", newer)
    journal = open_one(url)
    wait_until(lambda: journal.counts.up)
    (labelled,) = journal.label([Label("kept", 0)])
    assert labelled.outcome == "accepted"
    assert "camera" in {column["name"] for column in inspect(engine).get_columns("answers")}
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "0002"


def _schema(engine):
    """Tables, indexes and version, as the database itself tells of them."""
    with engine.connect() as connection:
        version = connection.scalar(text("SELECT version_num FROM alembic_version"))
        if engine.dialect.name == "sqlite":
            statements = connection.scalars(text("SELECT sql FROM sqlite_master WHERE sql NOT NULL ORDER BY name"))
            return version + " ".join(" ".join(statements).split())
    url = engine.url.render_as_string(hide_password=False)
    dump = subprocess.run(["pg_dump", "--schema-only", url], capture_output=True, text=True, check=True).stdout
    # Lines with a backslash hold a password for psql, another one each time.
    return version + "".join(line for line in dump.splitlines(keepends=True) if not line.startswith("\\"))
