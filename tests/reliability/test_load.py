"""The load generator finds what it is there to find: before anyone believes that it found nothing."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from tests.reliability.examples import Example, tiny_examples
from tests.reliability.load import Load, Outcome, run

EXAMPLES = tiny_examples(8)
Answer = Callable[[int, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def load_on(answer: Answer, requests: int = 8) -> Outcome:
    """What the generator makes of a service that takes one request a connection and answers as told."""

    async def serve_and_load() -> Outcome:
        connections = iter(range(1000))

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await answer(next(connections), reader, writer)
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            return await Load(port, EXAMPLES).closed(connections=1, requests=requests)

    return run(serve_and_load())


def answer_with(choose: Callable[[int], Example]) -> Answer:
    """Answers the n-th request with what must be said of the example chosen."""

    async def answer(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        example = choose(number)
        fields = {
            "request_id": head.split("X-Request-ID: ")[1].split("\r\n")[0],
            "label": example.label,
            "confidence": example.confidence,
            "trust_probability": example.trust,
        }
        body = json.dumps(fields)
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())

    return answer


def test_right_answers_are_counted():
    outcome = load_on(answer_with(lambda number: EXAMPLES[number]))
    assert (outcome.statuses, outcome.wrong, outcome.lost) == ({200: 8}, [], [])
    assert 0 < outcome.quantile(0.5) <= outcome.elapsed


def test_two_answers_that_were_swapped_are_found():
    swapped = [0, 1, 3, 2, 4, 5, 6, 7]
    outcome = load_on(answer_with(lambda number: EXAMPLES[swapped[number]]))
    assert outcome.statuses == {200: 8}
    assert [difference.split(":")[0].split("-")[1] for difference in outcome.wrong] == ["2", "3"]


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", b"what?"])
def test_requests_without_a_whole_answer_are_lost(answer):
    async def break_off(_: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)

    outcome = load_on(break_off)
    assert (outcome.statuses, len(outcome.lost)) == ({}, 8)


def test_open_load_does_not_wait_for_answers():
    async def serve_and_load() -> Outcome:
        async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            arrived.append(writer)
            if len(arrived) == 20:
                for each in arrived:
                    each.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")

        arrived: list[asyncio.StreamWriter] = []
        async with await asyncio.start_server(never, "127.0.0.1", 0) as server:
            return await Load(server.sockets[0].getsockname()[1], EXAMPLES).open(100, 0.2, connections=20)

    outcome = run(serve_and_load())
    assert outcome.statuses == {503: 20}
    assert outcome.quantile(1, status=503) == pytest.approx(0.2, abs=0.1)
