"""Clients that take their time, or all the connections: bounded time and memory for them, answers for the others."""

import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from service.http.protocol import HEAD_SECONDS
from tests.exposition import series
from tests.reliability.footprint import footprint
from tests.reliability.wire import ask, connect, is_closed, predict_request, read_answer
from tests.service.server import Server
from tests.tiny import png, quadrants
from tests.waiting import wait_until

IMAGE = png(quadrants(200, 50, 20, 120))
UPLOAD_SECONDS = 1.0
KEEP_ALIVE_SECONDS = 5.0
IDLE_CONNECTIONS = 1_000
MEMORY_BYTES = 20_000_000


@pytest.fixture(scope="module")
def server(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("slow")
    limits = ("--upload-seconds", str(UPLOAD_SECONDS), "--keep-alive-seconds", str(KEEP_ALIVE_SECONDS))
    with Server(folder, "--model", str(tiny_bundle), *limits) as server:
        yield server
        assert "Traceback" not in server.stderr()


def trickle(connection: socket.socket, data: bytes) -> threading.Thread:
    """Sends a byte ten times a second, until the service hangs up."""

    def send() -> None:
        try:
            for byte in data:
                connection.sendall(bytes([byte]))
                time.sleep(0.1)
        except OSError:
            return

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    return thread


def assert_others_are_answered(server: Server) -> None:
    assert ask(server.port, IMAGE).status == 200


def test_upload_that_does_not_come_is_told_so_and_hung_up_on(server):
    head = predict_request(IMAGE, Content_Length="100000")
    with connect(server.port) as stalled, connect(server.port) as trickling:
        started = time.monotonic()
        stalled.sendall(head)
        trickling.sendall(head)
        sender = trickle(trickling, bytes(100_000))
        assert_others_are_answered(server)
        for connection in (stalled, trickling):
            answer = read_answer(connection)
            assert (answer.status, answer.json()["type"]) == (408, "urn:trustserve:problem:upload-too-slow")
            assert answer.headers["Connection"] == "close"
        assert time.monotonic() - started >= UPLOAD_SECONDS
        wait_until(lambda: is_closed(stalled))
        sender.join(30)
        assert not sender.is_alive()
    assert server.metrics()[series("trust_errors_total", reason="upload_too_slow")] == 2


def test_headers_that_do_not_come_are_not_waited_for_long(server):
    with connect(server.port) as silent, connect(server.port) as stalled, connect(server.port) as trickling:
        stalled.sendall(b"POST /predict HTTP/1.1\r\nHost: loc")
        sender = trickle(trickling, b"GET /healthz HTTP/1.1\r\nX-Slow: " + bytes(10_000))
        with connect(server.port) as second:
            # Nor those of a later request on the same connection.
            second.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert read_answer(second).status == 200
            second.sendall(b"GET /healthz HTT")
            assert_others_are_answered(server)
            for connection in (silent, stalled, second):
                wait_until(lambda connection=connection: is_closed(connection), seconds=30)
        sender.join(30)
        assert not sender.is_alive()


def test_a_thousand_idle_connections_leave_room_for_others_and_do_not_stay(server):
    before = footprint(server.process.pid)
    with ExitStack() as stack:
        for _ in range(IDLE_CONNECTIONS):
            connection = stack.enter_context(connect(server.port))
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert connection.recv(65_536).startswith(b"HTTP/1.1 200 OK")
        during = footprint(server.process.pid)
        assert during.resident_bytes - before.resident_bytes < 2 * MEMORY_BYTES
        assert_others_are_answered(server)
        # Still open here: it is the service that lets go of them.
        wait_until(lambda: footprint(server.process.pid).descriptors <= before.descriptors + 5)


def test_requests_that_came_while_the_service_was_held_up_are_answered(server):
    with ExitStack() as stack:
        # Each has had an answer, and is closed when no more comes for the time set here; a fresh one after 10 s.
        kept, fresh = ([stack.enter_context(connect(server.port)) for _ in range(20)] for _ in range(2))
        for connection in kept:
            connection.sendall(predict_request(IMAGE))
            assert read_answer(connection).status == 200
        server.process.send_signal(signal.SIGSTOP)
        try:
            for connection in kept + fresh:
                connection.sendall(predict_request(IMAGE))
            time.sleep(HEAD_SECONDS + 1)
        finally:
            server.process.send_signal(signal.SIGCONT)
        assert [read_answer(connection).status for connection in kept + fresh] == [200] * 40


def test_a_caller_that_stops_sending_after_its_request_is_answered_or_hung_up_on(server):
    for _ in range(20):
        with connect(server.port, timeout=10) as connection:
            connection.sendall(predict_request(IMAGE))
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(65_536)
            assert answer == b"" or answer.startswith(b"HTTP/1.1 200 OK")
    assert_others_are_answered(server)


def test_uploads_that_are_announced_take_no_memory_before_they_come(server):
    before = footprint(server.process.pid).resident_bytes
    with ExitStack() as stack:
        for _ in range(20):
            connection = stack.enter_context(connect(server.port))
            connection.sendall(predict_request(b"\x89PNG", Content_Length="9000000"))
        assert read_answer(connection).status == 408
        assert footprint(server.process.pid).resident_bytes - before < MEMORY_BYTES
