"""New connections of several workers that listen on one socket, shared evenly.

Left to themselves, whoever wakes first takes a connection, and that is nearly always the same worker. Connections stay
where they are, so that one worker would do all the work. Here each leaves a new one to another that has fewer.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, MutableSequence
from typing import Any, ClassVar

try:
    from uvloop import Loop
except ImportError:  # on Windows
    from asyncio import SelectorEventLoop as Loop  # type: ignore[assignment]

WAY_SECONDS = 0.002
"""How long a worker leaves a connection to the others: far longer than one takes that has nothing else to do."""
MOST_AT_ONCE = 64
"""Connections that it takes if they did not: one, then two, then four, ... the longer they take none."""
AGAIN_SECONDS = 1.0
"""After which somebody without a file descriptor, or memory, for a connection tries again."""
NOT_LISTENING = -1

_logger = logging.getLogger("trustserve")


class Share:
    """How many connections this worker has, and how many the others have.

    Args:
        counts: of all workers, in memory that they share; NOT_LISTENING where there is no worker that takes any.
        slot: of this one.
    """

    def __init__(self, counts: MutableSequence[int], slot: int) -> None:
        self._counts, self._slot = counts, slot
        self._connections = 0
        self._listens = False
        self._say()

    def listen(self, listens: bool) -> None:
        """Says whether it takes connections."""
        self._listens = listens
        self._say()

    def add(self, connections: int) -> None:
        """Says that it has so many more, or fewer where negative."""
        self._connections += connections
        self._say()

    @property
    def is_ahead(self) -> bool:
        """Whether another worker has fewer by two: by one, short connections would be passed to and fro."""
        return any(NOT_LISTENING < other < self._connections - 1 for other in self._counts)

    def _say(self) -> None:
        self._counts[self._slot] = self._connections if self._listens else NOT_LISTENING


class SharingLoop(Loop):  # type: ignore[misc, unused-ignore]
    """An event loop whose servers share what comes to a socket that others listen on as well."""

    share: ClassVar[Share | None] = None
    """Of this process; None: nobody else listens."""

    async def create_server(self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any) -> Any:
        """As any loop's; of the options, those of a socket that is shared are `sock` and `backlog`."""
        if self.share is None:
            return await super().create_server(protocol_factory, host, port, **options)
        return SharingServer(self, options["sock"], protocol_factory, options["backlog"], self.share)


class SharingServer:
    """Takes connections from a socket until it is closed, in fair shares with others that listen on it."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        listener: socket.socket,
        protocol_factory: Callable[[], asyncio.Protocol],
        backlog: int,
        share: Share,
    ) -> None:
        self._loop, self._listener, self._factory, self._share = loop, listener, protocol_factory, share
        self._later: asyncio.TimerHandle | None = None
        self._at_once = 1
        self._taking: set[asyncio.Task[Any]] = set()
        listener.setblocking(False)
        listener.listen(backlog)
        share.listen(True)
        self._listen()

    def close(self) -> None:
        """Takes no more; connections go on."""
        self._share.listen(False)
        if self._later is None:
            self._loop.remove_reader(self._listener)
        else:
            self._later.cancel()

    async def wait_closed(self) -> None:
        """Until those that were just taken have begun."""
        if self._taking:
            await asyncio.wait(self._taking)

    def _listen(self) -> None:
        self._later = None
        self._loop.add_reader(self._listener, self._one_came)

    def _one_came(self) -> None:
        if self._share.is_ahead:
            self._pause(WAY_SECONDS, self._nobody_took)
        else:
            self._take(1)

    def _nobody_took(self) -> None:
        self._listen()
        at_once, self._at_once = self._at_once, min(2 * self._at_once, MOST_AT_ONCE)
        self._take(at_once)

    def _pause(self, seconds: float, then: Callable[[], None]) -> None:
        self._loop.remove_reader(self._listener)
        self._later = self._loop.call_later(seconds, then)

    def _take(self, most: int) -> None:
        for _ in range(most):
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                # Another worker was faster, there are no more, or the client has gone.
                self._at_once = 1
                return
            except OSError as error:
                _logger.warning("no connection can be taken: %s; again in %g s", error, AGAIN_SECONDS)
                self._pause(AGAIN_SECONDS, self._listen)
                return
            self._begin(connection)

    def _begin(self, connection: socket.socket) -> None:
        self._share.add(1)
        connection.setblocking(False)
        # asyncio's own loop would leave Nagle's algorithm on: this socket does not say that it is TCP.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = self._loop.create_task(self._loop.connect_accepted_socket(self._factory, connection))
        self._taking.add(task)
        task.add_done_callback(self._begun)

    def _begun(self, task: "asyncio.Task[Any]") -> None:
        self._taking.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._share.add(-1)
            _logger.warning("a connection was lost before it began: %s", error)
