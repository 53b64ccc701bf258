"""A load generator that trusts nobody: many connections, distinguishable images, each answer checked against its own.

Closed load asks again as soon as it is answered, and so finds out what a service can do. Open load comes at a rate of
its own, answered or not, as the world does; its latencies count from the moment a request was due.
"""

import asyncio
import itertools
import json
import time
import uuid
from array import array
from collections import defaultdict, deque
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import httptools
import numpy as np
import uvloop

from tests.reliability.examples import Example

GIVE_UP_SECONDS = 60.0
"""A request that is not answered for so long counts as lost."""

Result = TypeVar("Result")


@dataclass
class Outcome:
    """What became of the requests of one load."""

    seconds: dict[int, "array[float]"] = field(default_factory=lambda: defaultdict(lambda: array("d")))
    """Of every answer, by status, in the order of arrival."""
    wrong: list[str] = field(default_factory=list)
    """Answers that are not those of their images, in words."""
    lost: list[str] = field(default_factory=list)
    """Requests that got no answer, and why."""
    request_ids: list[str] = field(default_factory=list)
    """Of the requests answered with 200."""
    elapsed: float = 0.0

    @property
    def statuses(self) -> dict[int, int]:
        """How many answers there were of each status."""
        return {status: len(seconds) for status, seconds in sorted(self.seconds.items())}

    @property
    def rate(self) -> float:
        """Images answered a second."""
        return len(self.seconds.get(200, ())) / self.elapsed

    def quantile(self, q: float, status: int = 200) -> float:
        """Seconds within which a share q of the answers of one status came."""
        return float(np.quantile(self.seconds[status], q))


class Load:
    """Requests to one service, over connections that are kept alive; used within one event loop.

    Args:
        port: of the service, on 127.0.0.1.
        examples: asked in turn, over and over.
        headers: sent with every request.
        keep_ids: whether to remember what was answered, by request id.
    """

    def __init__(
        self, port: int, examples: Sequence[Example], headers: dict[str, str] | None = None, keep_ids: bool = False
    ) -> None:
        self.outcome = Outcome()
        self._port = port
        self._examples = itertools.cycle(examples)
        self._headers = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items()).encode()
        self._keep_ids = keep_ids
        # The journal takes each request id once.
        self._ids = map(f"{uuid.uuid4().hex[:8]}-{{}}".format, itertools.count())
        self._idle: deque[_Connection] = deque()
        self._stopping = False

    def stop(self) -> None:
        """Ends a load before its time; what is under way is still waited for. From any thread."""
        self._stopping = True

    async def closed(self, connections: int, requests: float = float("inf"), seconds: float = float("inf")) -> Outcome:
        """Each connection asks as soon as it was answered, until so many requests were sent or so much time is over."""
        started = time.perf_counter()
        left = iter(range(int(requests))) if requests < float("inf") else itertools.count()

        async def ask_on() -> None:
            while not self._stopping and time.perf_counter() < started + seconds and next(left, None) is not None:
                await self._ask(time.perf_counter())

        await asyncio.gather(*(ask_on() for _ in range(connections)))
        return self._end(started)

    async def open(self, rate: float, seconds: float, connections: int) -> Outcome:
        """So many requests a second; where all connections are busy, one waits, and that counts as its latency."""
        started = time.perf_counter()
        free = asyncio.Semaphore(connections)
        tasks: set[asyncio.Task[None]] = set()

        async def ask_when_free(due: float) -> None:
            async with free:
                await self._ask(due)

        for number in range(int(rate * seconds)):
            due = started + number / rate
            if (ahead := due - time.perf_counter()) > 0:
                await asyncio.sleep(ahead)
            elif number % 64 == 0:
                await asyncio.sleep(0)  # late: answers have their turn all the same
            if self._stopping:
                break
            task = asyncio.create_task(ask_when_free(due))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)
        return self._end(started)

    async def _ask(self, due: float) -> None:
        example, request_id = next(self._examples), next(self._ids)
        try:
            async with asyncio.timeout(GIVE_UP_SECONDS):
                status, body = await self._exchange(example, request_id)
        except (OSError, httptools.HttpParserError) as error:
            self.outcome.lost.append(f"{request_id}: {type(error).__name__} {error}")
            return
        self.outcome.seconds[status].append(time.perf_counter() - due)
        if status == 200:
            if difference := example.difference(request_id, json.loads(body)):
                self.outcome.wrong.append(difference)
            if self._keep_ids:
                self.outcome.request_ids.append(request_id)

    async def _exchange(self, example: Example, request_id: str) -> tuple[int, bytes]:
        request = example.request(request_id, self._headers)
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable:
                break
        else:
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(_Connection, "127.0.0.1", self._port)
        answer = await connection.ask(request)
        if connection.is_usable:
            self._idle.append(connection)
        return answer

    def _end(self, started: float) -> Outcome:
        self.outcome.elapsed = time.perf_counter() - started
        while self._idle:
            self._idle.pop().close()
        return self.outcome


class _Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self.is_usable = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self.is_usable = cast(asyncio.Transport, transport), True

    def ask(self, request: bytes) -> "asyncio.Future[tuple[int, bytes]]":
        assert self._transport is not None
        self._parser, self._body = httptools.HttpResponseParser(self), b""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def close(self) -> None:
        self.is_usable = False
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(error)

    def on_body(self, data: bytes) -> None:
        self._body += data

    def on_message_complete(self) -> None:
        if not self._parser.should_keep_alive():
            self.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((self._parser.get_status_code(), self._body))

    def eof_received(self) -> None:
        self.is_usable = False

    def connection_lost(self, error: Exception | None) -> None:
        self.is_usable = False
        self._fail(error or ConnectionResetError("closed without an answer"))

    def _fail(self, error: Exception) -> None:
        self.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)


def run(load: Coroutine[Any, Any, Result]) -> Result:
    """Waits for a load."""
    return uvloop.run(load)


def start(load: Coroutine[Any, Any, Result]) -> "Future[Result]":
    """A load that goes on in a thread of its own while the test does something to the service."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="load")
    future = pool.submit(run, load)
    pool.shutdown(wait=False)
    return future
