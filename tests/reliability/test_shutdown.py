"""The end of a service: nobody loses an answer, and no answer is missing in the journal."""

import signal
import sqlite3
import subprocess
import time
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from service.cli import GRACEFUL_SECONDS
from tests.reliability.bundles import PLAIN, busy, write_faulty_bundle
from tests.reliability.examples import tiny_examples
from tests.reliability.load import Load, start
from tests.reliability.nginx import free_port, nginx_before
from tests.reliability.occupied import occupied
from tests.reliability.wire import ask, connect, get, predict_request, read_answer
from tests.service.server import ENVIRONMENT, TRUSTSERVE, Server
from tests.waiting import wait_until


def readiness(server: Server) -> int | None:
    """Status of /readyz; None: nobody listens any more."""
    try:
        return get(server.port, "/readyz").status
    except ConnectionError:
        return None


def is_alive(port: int) -> bool:
    try:
        return get(port, "/healthz").status == 200
    except OSError:
        return False


def journalled(state: Path) -> set[str]:
    with closing(sqlite3.connect(state / "journal.sqlite")) as connection:
        return {request_id for (request_id,) in connection.execute("SELECT request_id FROM answers")}


def test_what_is_in_flight_is_answered_and_readiness_is_gone_at_once(serve_process, faulty_bundle):
    server = serve_process(faulty_bundle, "--drain-seconds", "2")
    assert readiness(server) == 200
    with occupied(server, 2), ExitStack() as stack:
        waiting = [stack.enter_context(connect(server.port)) for _ in range(10)]
        for connection in waiting:
            connection.sendall(predict_request(PLAIN))
        # Whoever is asked now was asked before: the same event loop reads in turn.
        assert readiness(server) == 200
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        while (found := readiness(server)) == 200:
            assert time.monotonic() < began + 2
        assert found == 503
        # Who has not heard yet is answered all the same, and told to go elsewhere next time.
        late = ask(server.port, PLAIN)
        assert (late.status, late.headers["Connection"]) == (200, "close")
        answers = [read_answer(connection) for connection in waiting]
    assert [answer.status for answer in answers] == [200] * 10
    assert server.process.wait(60) == 0
    assert time.monotonic() - began < GRACEFUL_SECONDS + 5
    assert readiness(server) is None
    assert "Traceback" not in server.stderr()


def test_end_comes_within_the_grace_time_even_if_a_batch_hangs(serve_process, faulty_bundle):
    server = serve_process(faulty_bundle, "--deadline-seconds", "60")
    with ExitStack() as stack:
        for _ in range(12):
            stack.enter_context(connect(server.port)).sendall(predict_request(busy(2.5)))
        assert readiness(server) == 200
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(60)
    # The batch would have taken half a minute; the rest is for a busy machine.
    assert time.monotonic() - began < GRACEFUL_SECONDS + 10


@pytest.mark.parametrize("workers", ["1", "2"])
def test_end_while_the_bundle_is_opened_waits_for_nothing(workers, tmp_path):
    bundle = write_faulty_bundle(tmp_path / "slow", seconds_an_image=1000)
    port = free_port()
    command = [*TRUSTSERVE, "serve", "--model", str(bundle), "--port", str(port), "--workers", workers]
    with subprocess.Popen(command, env=ENVIRONMENT, cwd=tmp_path) as process:
        try:
            wait_until(lambda: is_alive(port), seconds=300)
            assert get(port, "/readyz").status == 503
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        finally:
            process.kill()


def test_every_answer_that_was_given_is_in_the_journal(serve_process, tiny_bundle, tmp_path):
    server = serve_process(tiny_bundle, "--state", str(tmp_path / "state"), "--journal-buffer", "1000000")
    load = Load(server.port, tiny_examples(64), keep_ids=True)
    loading = start(load.closed(connections=32))
    time.sleep(1)
    server.process.send_signal(signal.SIGTERM)
    load.stop()
    outcome = loading.result(60)
    assert (outcome.lost, outcome.wrong) == ([], [])
    assert outcome.statuses.keys() <= {200, 503}
    assert server.process.wait(60) == 0
    assert len(outcome.request_ids) > 100
    assert journalled(tmp_path / "state") == set(outcome.request_ids)


def test_rolling_restart_behind_a_load_balancer_loses_no_request(tiny_bundle, tmp_path):
    folders = [tmp_path / name for name in ("one", "two", "nginx")]
    for folder in folders:
        folder.mkdir()

    def serve(folder: Path, port: int = 0) -> Server:
        return Server(folder, "--model", str(tiny_bundle), "--state", str(folder / "state"), port=port)

    with ExitStack() as stack:
        servers = [stack.enter_context(serve(folder)) for folder in folders[:2]]
        port = stack.enter_context(nginx_before([server.port for server in servers], folders[2]))
        load = Load(port, tiny_examples(64))
        loading = start(load.open(rate=200, seconds=600, connections=32))
        for folder, server in zip(folders[:2], servers, strict=True):
            assert server.stop(signal.SIGTERM) == 0
            stack.enter_context(serve(folder, server.port))
        load.stop()
        outcome = loading.result(60)
    assert (outcome.lost, outcome.wrong) == ([], [])
    assert outcome.statuses.keys() == {200}
    assert outcome.statuses[200] > 100
