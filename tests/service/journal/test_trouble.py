"""Databases that are away, full or locked: answers wait, then are dropped and counted, until all is well again."""

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing

import psycopg
import pytest

from service.journal.database import writing
from service.journal.records import DropReason, JournalAway, Label
from tests.service.journal.examples import answer
from tests.waiting import wait_until

BUFFER = 10


def record_more_than_the_buffer_holds(journal, name, more=5):
    for i in range(BUFFER + more):
        journal.record(answer(f"{name}{i}"))


def wait_for_recovery(journal, written):
    wait_until(lambda: journal.counts.written == written)
    wait_until(lambda: journal.counts.up)
    journal.record(answer("after"))
    assert journal.label([Label("after", 1)])[0].outcome == "accepted"


def psql(url, *statements):
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of two megabytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small file system takes root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_server_that_stops_costs_what_the_buffer_cannot_hold(postgres, open_one):
    journal = open_one(postgres.empty_database(), buffer=BUFFER)
    journal.record(answer("before"))
    wait_until(lambda: journal.counts.written == 1)
    postgres.stop()
    try:
        wait_until(lambda: not journal.counts.up)
        record_more_than_the_buffer_holds(journal, "away")
        assert journal.counts.dropped[DropReason.database_away] == 5
        with pytest.raises(JournalAway, match="cannot be used now"):
            journal.label([Label("before", 1)])
        with pytest.raises(JournalAway, match="cannot be used now"):
            journal.labelled("shoes", "1", 0, 1e12)
    finally:
        postgres.start()
    wait_for_recovery(journal, written=1 + BUFFER)
    assert journal.label([Label("before", 1)])[0].outcome == "accepted"


def test_server_that_is_away_from_the_beginning_is_found_once_it_is_there(postgres, open_one):
    url = postgres.empty_database()
    postgres.stop()
    try:
        journal = open_one(url)
        journal.record(answer("a"))
        with pytest.raises(JournalAway):
            journal.label([Label("a", 1)])
        assert not journal.counts.up
    finally:
        postgres.start()
    wait_for_recovery(journal, written=1)


def test_closing_while_the_server_is_away_counts_what_is_lost(postgres, open_one):
    journal = open_one(postgres.empty_database())
    wait_until(lambda: journal.counts.up)
    postgres.stop()
    try:
        journal.record(answer("a"))
        journal.close()
    finally:
        postgres.start()
    assert journal.counts.dropped[DropReason.closed] == 1


def test_database_that_comes_back_empty_gets_its_tables_again(postgres, open_one):
    url = postgres.empty_database()
    journal = open_one(url)
    journal.record(answer("before"))
    wait_until(lambda: journal.counts.written == 1)
    psql(url, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    journal.record(answer("a"))
    wait_for_recovery(journal, written=2)


def test_full_disk_costs_what_the_buffer_cannot_hold(small_disk, open_one):
    journal = open_one(f"sqlite:///{small_disk}/journal.sqlite", buffer=BUFFER)
    journal.record(answer("before"))
    wait_until(lambda: journal.counts.written == 1)
    (small_disk / "filler").write_bytes(bytes(shutil.disk_usage(small_disk).free))
    # More than what the journal's own files have room for.
    journal.record(answer("first", head_inputs=bytes(200_000)))
    wait_until(lambda: not journal.counts.up)
    record_more_than_the_buffer_holds(journal, "full", more=4)
    assert journal.counts.dropped[DropReason.disk_full] == 5
    (small_disk / "filler").unlink()
    wait_for_recovery(journal, written=1 + BUFFER)
    with closing(sqlite3.connect(small_disk / "journal.sqlite")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_full_disk_of_the_server_is_counted_as_such(postgres, open_one):
    url = postgres.empty_database()
    journal = open_one(url, buffer=BUFFER)
    wait_until(lambda: journal.counts.up)
    psql(
        url,
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$",
        "CREATE TRIGGER full_disk BEFORE INSERT ON answers EXECUTE FUNCTION fail()",
    )
    journal.record(answer("first"))
    wait_until(lambda: not journal.counts.up)
    record_more_than_the_buffer_holds(journal, "full", more=4)
    assert journal.counts.dropped[DropReason.disk_full] == 5
    psql(url, "DROP TRIGGER full_disk ON answers")
    wait_for_recovery(journal, written=BUFFER)


def test_file_that_somebody_else_holds_is_counted_as_locked(tmp_path, open_one):
    journal = open_one(f"sqlite:///{tmp_path}/journal.sqlite?timeout=0.05", buffer=BUFFER)
    wait_until(lambda: journal.counts.up)
    with closing(sqlite3.connect(tmp_path / "journal.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        wait_until(lambda: not journal.counts.up)
        record_more_than_the_buffer_holds(journal, "locked")
        assert journal.counts.dropped[DropReason.locked] == 5
        other.execute("ROLLBACK")
    wait_for_recovery(journal, written=BUFFER)


def test_table_that_somebody_else_holds_is_counted_as_locked(postgres, open_one):
    url = postgres.empty_database()
    journal = open_one(f"{url}&options=-c%20lock_timeout%3D50ms", buffer=BUFFER)
    wait_until(lambda: journal.counts.up)
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE answers IN EXCLUSIVE MODE")
        journal.record(answer("first"))
        wait_until(lambda: not journal.counts.up)
        record_more_than_the_buffer_holds(journal, "locked", more=4)
        assert journal.counts.dropped[DropReason.locked] == 5
    wait_for_recovery(journal, written=BUFFER)


def test_folder_that_cannot_be_made_is_tried_again(tmp_path, open_one):
    (tmp_path / "state").write_text("a file where the folder should be")
    journal = open_one(f"sqlite:///{tmp_path}/state/journal.sqlite")
    journal.record(answer("a"))
    with pytest.raises(JournalAway, match="File exists"):
        journal.label([Label("a", 1)])
    (tmp_path / "state").unlink()
    wait_for_recovery(journal, written=1)


def test_file_that_is_no_database_is_left_as_it_is(tmp_path, open_one):
    file = tmp_path / "journal.sqlite"
    file.write_bytes(os.urandom(10_000))
    found = file.read_bytes()
    journal = open_one(f"sqlite:///{file}")
    with pytest.raises(JournalAway, match="file is not a database"):
        journal.label([Label("a", 1)])
    assert file.read_bytes() == found


def test_journal_of_a_newer_version_is_left_as_it_is(url, engine, open_one):
    first = open_one(url)
    first.record(answer("a"))
    wait_until(lambda: first.counts.written == 1)
    with writing(engine) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    first.close()
    journal = open_one(url)
    journal.record(answer("b"))
    with pytest.raises(JournalAway, match="9999"):
        journal.label([Label("a", 1)])
    assert not journal.counts.up
