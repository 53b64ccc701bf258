"""Nobody waits for longer than they said, and nothing is computed for who does not wait."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.exposition import series
from tests.reliability.bundles import PLAIN, busy
from tests.reliability.occupied import occupied
from tests.reliability.wire import ask, connect, predict_request, read_answer
from tests.service.server import Server
from tests.waiting import wait_until

BATCHED = series("trust_batch_size_sum")


@pytest.fixture(scope="module")
def server(faulty_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("deadline")
    with Server(folder, "--model", str(faulty_bundle), "--deadline-seconds", "10") as server:
        # It knows how fast it is before the first image that is slow: else it would turn others away, rightly.
        assert {ask(server.port, PLAIN).status for _ in range(10)} == {200}
        yield server


def test_request_that_waits_too_long_is_told_so_in_time(server):
    with occupied(server, 2):
        started = time.monotonic()
        answer = ask(server.port, PLAIN, X_Request_Timeout="0.3")
        elapsed = time.monotonic() - started
    assert (answer.status, answer.json()["type"]) == (504, "urn:trustserve:problem:deadline-exceeded")
    assert "0.3 s" in answer.json()["detail"]
    assert elapsed >= 0.3


def test_header_does_not_raise_the_services_own_deadline(faulty_bundle, serve_process):
    server = serve_process(faulty_bundle, "--deadline-seconds", "0.3")
    with connect(server.port) as ahead:
        ahead.sendall(predict_request(busy(1.5)))
        assert ask(server.port, PLAIN, X_Request_Timeout="60").status == 504
        # The image that takes too long itself is not waited for either.
        assert read_answer(ahead).status == 504


@pytest.mark.parametrize("value", ["soon", "-1", "0", "nan", "inf", ""])
def test_header_that_is_no_time_is_refused(server, value):
    answer = ask(server.port, PLAIN, X_Request_Timeout=value)
    assert (answer.status, answer.json()["type"]) == (400, "urn:trustserve:problem:parameter-invalid")


def test_nothing_is_computed_for_requests_that_expired_or_whose_callers_hung_up(server):
    before = server.metrics()[BATCHED]
    with occupied(server, 2):
        for _ in range(10):
            with connect(server.port) as connection:
                connection.sendall(predict_request(PLAIN))
        expired = {ask(server.port, PLAIN, X_Request_Timeout="0.05").status for _ in range(3)}
    # Or turned away at once, by a service that knows by now how long that takes.
    assert expired <= {503, 504}
    assert ask(server.port, PLAIN).status == 200
    # The one that kept the networks busy, and the last one.
    assert server.metrics()[BATCHED] == before + 2
    gone = series("trust_errors_total", reason="client_gone")
    wait_until(lambda: server.metrics()[gone] == 10)
