"""Journals on real databases: SQLite, and a PostgreSQL server that the tests start."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from service.journal.database import open_engine
from service.journal.journal import Journal, open_journal
from tests.postgres import PostgresServer
from tests.service.journal.examples import NOON


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A running server, shared by all tests: each empties it first."""
    server = PostgresServer()
    server.start()
    yield server
    server.remove()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/journal.sqlite"
    return str(request.getfixturevalue("postgres").empty_database())


@pytest.fixture
def open_one() -> Iterator[Callable[..., Journal]]:
    """Opens journals, at NOON if the test does not say otherwise; they are closed when it ends."""
    with ExitStack() as stack:

        def open_it(url: str, **options: Any) -> Journal:
            journal = open_journal(url, **{"clock": lambda: NOON, **options})
            stack.callback(journal.close)
            return journal

        yield open_it


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """The database that the test's journals are on, asked past them."""
    engine = open_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
def journal(url: str, open_one: Callable[..., Journal]) -> Journal:
    """An open journal, on either kind of database."""
    return open_one(url)
