"""A clock that jumps, under a running service: answers, deadlines and journal do not mind."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.exposition import series
from tests.reliability.bundles import PLAIN
from tests.reliability.examples import tiny_examples
from tests.reliability.load import Load, run
from tests.reliability.occupied import occupied
from tests.reliability.wire import ask, get, wait_until

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
DAY = 86_400


@pytest.fixture
def clock(tmp_path: Path):
    """Environment under which the wall clock, and it alone, is off by what a file says; and how to say it."""
    if LIBRARY is None or shutil.which("faketime") is None:
        pytest.skip("the Debian package faketime is not installed")
    offset = tmp_path / "offset"

    def set_off(seconds: int) -> None:
        fresh = offset.with_suffix(".new")
        fresh.write_text(f"{seconds:+d}\n")
        fresh.rename(offset)

    set_off(0)
    environment = {
        "LD_PRELOAD": str(LIBRARY),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    return environment, set_off


def assert_answers(server) -> None:
    outcome = run(Load(server.port, tiny_examples(64)).closed(connections=4, requests=100))
    assert (outcome.statuses, outcome.wrong, outcome.lost) == ({200: 100}, [], [])


@pytest.mark.parametrize("jump", [DAY, -DAY, 400 * DAY], ids=["a day on", "a day back", "a year on"])
def test_clock_that_jumps_disturbs_nothing(serve_process, faulty_bundle, clock, jump, tmp_path):
    environment, set_off = clock
    state = tmp_path / "state"
    server = serve_process(faulty_bundle, "--state", str(state), environment=environment)
    assert_answers(server)
    set_off(jump)
    assert_answers(server)
    # Deadlines are kept by a clock that does not jump.
    with occupied(server.port, 1):
        assert ask(server.port, PLAIN, X_Request_Timeout="0.2").status == 504
    set_off(0)
    assert_answers(server)
    assert get(server.port, "/readyz").status == 200
    assert get(server.port, "/monitor").status == 200
    written = series("trust_journal_written_total")
    wait_until(lambda: server.metrics()[written] >= 300)
    assert server.metrics()[series("trust_journal_up")] == 1
    assert "Traceback" not in server.stderr()
    assert server.stop() == 0
    with closing(sqlite3.connect(state / "journal.sqlite")) as connection:
        (journalled,) = connection.execute("SELECT count(*) FROM answers").fetchone()
    # Of a year ago, what lay in between is past its days, once somebody has looked.
    assert journalled >= (100 if abs(jump) > 30 * DAY else 300)
