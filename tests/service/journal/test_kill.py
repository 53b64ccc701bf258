"""kill -9 in the middle of writing: what was committed stays, whole and in order."""

import re
import subprocess
import sys
import time
from pathlib import Path

from sqlalchemy import select

from service.journal.tables import ANSWERS

ROOT = Path(__file__).parents[3]

# Says how many answers are committed, each time that there are more.
RECORDING = """
import itertools, sys, time
from service.journal.journal import open_journal
from tests.service.journal.examples import answer

journal = open_journal(sys.argv[1])
told = 0
for i in itertools.count():
    journal.record(answer(f"{sys.argv[2]}-{i}", answered_at=time.time()))
    if journal.counts.written > told:
        told = journal.counts.written
        print(told, i + 1, flush=True)
    time.sleep(0.0002)
"""


def kill_while_recording(url: str, name: str, delay: float) -> tuple[int, int]:
    """How many answers the process knew to be committed, and how many it had recorded then."""
    command = [sys.executable, "-c", RECORDING, url, name]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        first = process.stdout.readline()
        time.sleep(delay)
        process.kill()
        last = (first + process.stdout.read()).splitlines()[-1]
    committed, recorded = re.fullmatch(r"(\d+) (\d+)", last).groups()
    return int(committed), int(recorded)


def test_killed_process_loses_nothing_that_was_committed(url, engine):
    # At once after a commit, and about in the next one; the second goes on with what the first one left open.
    for name, delay in [("one", 0.0), ("two", 0.55)]:
        committed, recorded = kill_while_recording(url, name, delay)
        assert 0 < committed <= recorded
        with engine.connect() as connection:
            if engine.dialect.name == "sqlite":
                assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
            query = select(ANSWERS.c.request_id).where(ANSWERS.c.request_id.like(f"{name}-%"))
            found = set(connection.execute(query.order_by(ANSWERS.c.answered_at)).scalars())
        assert len(found) >= committed
        assert found == {f"{name}-{i}" for i in range(len(found))}
