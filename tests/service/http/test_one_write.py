"""Heads and bodies as they reach the socket."""

import asyncio

import pytest

from service.http.one_write import OneWrite

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n"


class Socket:
    """A transport that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def write(self, data: bytes) -> None:
        self.told.append(data)

    def close(self) -> None:
        self.told.append("close")

    def write_eof(self) -> None:
        self.told.append("eof")

    def is_closing(self) -> bool:
        return False

    def resume_reading(self) -> None:
        self.told.append("resume")

    def get_extra_info(self, name: str) -> str:
        return f"the {name}"


def told(*steps) -> list[object]:
    """What the socket was told after these steps; None lets the loop turn once."""

    async def main() -> list[object]:
        socket = Socket()
        transport = OneWrite(socket, asyncio.get_running_loop())
        for step in steps:
            if step is None:
                await asyncio.sleep(0)
            elif isinstance(step, bytes):
                transport.write(step)
            else:
                step(transport)
        return list(socket.told)

    return asyncio.run(main())


def test_head_and_body_are_sent_together():
    assert told(HEAD, b"body", None) == [HEAD + b"body"]


def test_head_without_a_body_is_sent_in_the_next_turn():
    assert told(HEAD) == []
    assert told(HEAD, None) == [HEAD]
    assert told(HEAD, None, b"late") == [HEAD, b"late"]


def test_two_responses_keep_their_order():
    assert told(HEAD, b"one", HEAD, b"two", None) == [HEAD + b"one", HEAD + b"two"]


def test_chunks_are_sent_as_they_come():
    assert told(HEAD, b"1\r\na\r\n", b"0\r\n\r\n") == [HEAD + b"1\r\na\r\n", b"0\r\n\r\n"]


@pytest.mark.parametrize(("end", "word"), [(OneWrite.close, "close"), (OneWrite.write_eof, "eof")])
def test_head_is_sent_before_the_end(end, word):
    assert told(HEAD, end, None) == [HEAD, word]


def test_all_else_is_the_transports():
    assert told(lambda transport: transport.resume_reading()) == ["resume"]
    assert told(lambda transport: transport.write(transport.get_extra_info("peer").encode())) == [b"the peer"]
