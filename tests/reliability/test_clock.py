"""A clock that jumps, under a running service: answers, deadlines and journal do not mind."""

import time
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from tests.exposition import series
from tests.reliability.bundles import PLAIN
from tests.reliability.examples import tiny_examples
from tests.reliability.load import Load, run
from tests.reliability.occupied import occupied
from tests.reliability.wire import ask, get
from tests.service.server import Server
from tests.waiting import wait_until

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
DAY = 86_400
WRITTEN, UP = series("trust_journal_written_total"), series("trust_journal_up")


class Clock:
    """The wall clock of processes that run in this environment, and it alone, is off by what a file says."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "offset"
        self.jump(0)
        self.environment = {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def jump(self, seconds: int) -> None:
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{seconds:+d}\n")
        fresh.rename(self._file)


def seconds_off(server: Server) -> float:
    """How far the service's clock is from ours, by the Date of an answer."""
    date = get(server.port, "/healthz").headers["Date"]
    return parsedate_to_datetime(date).timestamp() - time.time()


def assert_answers(server: Server) -> None:
    outcome = run(Load(server.port, tiny_examples(64)).closed(connections=4, requests=100))
    assert (outcome.statuses, outcome.wrong, outcome.lost) == ({200: 100}, [], [])


@pytest.mark.skipif(LIBRARY is None, reason="the Debian package faketime is not installed")
def test_clock_that_jumps_disturbs_nothing(serve_process, faulty_bundle, tmp_path):
    clock = Clock(tmp_path)
    server = serve_process(faulty_bundle, environment=clock.environment)
    assert_answers(server)
    jumps = [DAY, -DAY, 400 * DAY, 0]
    for jump in jumps:
        clock.jump(jump)
        wait_until(lambda jump=jump: abs(seconds_off(server) - jump) < 60)
        assert_answers(server)
        # Deadlines are kept by a clock that does not jump.
        with occupied(server, 0.5):
            assert ask(server.port, PLAIN, X_Request_Timeout="0.1").status in (503, 504)
        assert get(server.port, "/monitor").status == 200
    assert get(server.port, "/readyz").status == 200
    wait_until(lambda: server.metrics()[WRITTEN] >= 100 * (1 + len(jumps)))
    assert server.metrics()[UP] == 1
    assert "Traceback" not in server.stderr()
    assert server.stop() == 0
