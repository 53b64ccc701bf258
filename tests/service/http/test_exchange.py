"""Responses as they reach the socket: whole in one write, all others as uvicorn writes them."""

import asyncio

import pytest
import uvicorn
from uvicorn.server import ServerState

from service.http.exchange import BODY_IS_WHOLE
from service.http.protocol import BoundedHttpProtocol

REQUEST = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi"
LENGTH_4 = (b"content-length", b"4")


class Socket(asyncio.Transport):
    """A transport that keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[object] = []

    def write(self, data: bytes) -> None:
        self.told.append(bytes(data))

    def close(self) -> None:
        self.told.append("close")

    def is_closing(self) -> bool:
        return "close" in self.told

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


def start(*headers: tuple[bytes, bytes]) -> dict:
    return {"type": "http.response.start", "status": 200, "headers": list(headers)}


def body(data: bytes, more: bool = False) -> dict:
    return {"type": "http.response.body", "body": data, "more_body": more}


def told(*messages: dict, request: bytes = REQUEST, rest: bytes = b"", scopes: list | None = None) -> list[object]:
    """What the socket was told when an app sent these messages."""

    async def app(scope, _receive, send):
        if scopes is not None:
            scopes.append(scope)
        for message in messages:
            await send(message)

    async def main() -> list[object]:
        config = uvicorn.Config(app, http=BoundedHttpProtocol, lifespan="off", log_config=None, access_log=False)
        config.load()
        protocol = BoundedHttpProtocol(config, ServerState(), {}, asyncio.get_running_loop())
        socket = Socket()
        protocol.connection_made(socket)
        protocol.data_received(request)
        await asyncio.sleep(0.01)
        if rest:
            protocol.data_received(rest)
        answered = list(socket.told)
        protocol.connection_lost(None)
        return answered

    return asyncio.run(main())


def test_head_and_body_are_sent_together():
    assert told(start((b"x-a", b"1"), LENGTH_4), body(b"body")) == [
        b"HTTP/1.1 200 OK\r\nx-a: 1\r\ncontent-length: 4\r\n\r\nbody"
    ]


def test_connection_that_ends_says_so():
    request = REQUEST.replace(b"host: x", b"host: x\r\nconnection: close")
    expected = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbody"
    assert told(start(LENGTH_4), body(b"body"), request=request) == [expected, "close"]


def test_app_may_end_the_connection():
    answer = b"".join(
        each for each in told(start(LENGTH_4, (b"connection", b"close")), body(b"body")) if isinstance(each, bytes)
    )
    assert answer == b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbody"


def test_two_requests_on_one_connection_have_their_answers_in_order():
    assert (
        told(start(LENGTH_4), body(b"body"), request=REQUEST * 2)
        == [b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody"] * 2
    )


def test_body_in_parts_is_sent_as_it_comes():
    sent = told(start(LENGTH_4), body(b"bo", more=True), body(b"dy"))
    assert sent == [b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n", b"bo", b"dy"]


def test_body_of_unknown_length_is_chunked():
    sent = b"".join(told(start(), body(b"body")))
    assert sent == b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"


def test_head_may_have_no_headers():
    sent = b"".join(told({"type": "http.response.start", "status": 200}, body(b"body")))
    assert sent == b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"


def test_head_request_has_no_body():
    request = b"HEAD / HTTP/1.1\r\nhost: x\r\n\r\n"
    assert told(start(LENGTH_4), body(b"body"), request=request) == [b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n"]


@pytest.mark.parametrize(
    "header", [(b"x-a", b"1\r\nset-cookie: a=b"), (b"x-a", b"1\n2"), (b"x-a", b"\x00"), (b"x\r\nb", b"1")]
)
def test_header_that_would_be_two_is_refused(header):
    assert told(start(header, LENGTH_4), body(b"body")) == ["close"]


def test_wrong_length_is_refused():
    sent = b"".join(each for each in told(start(LENGTH_4), body(b"longer")) if isinstance(each, bytes))
    assert b"longer" not in sent


def test_app_that_sends_a_head_and_no_body_has_failed():
    (answer, *_) = told(start(LENGTH_4))
    assert answer.startswith(b"HTTP/1.1 500 ")


@pytest.mark.parametrize(("request_", "whole"), [(REQUEST, True), (REQUEST[:-1], False)])
def test_app_knows_whether_the_body_is_there(request_, whole):
    scopes: list = []
    told(start(LENGTH_4), body(b"body"), request=request_, rest=REQUEST[len(request_) :], scopes=scopes)
    assert [BODY_IS_WHOLE in scope.get("extensions", {}) for scope in scopes] == [whole]
