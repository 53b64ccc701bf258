"""What comes to a socket that several workers listen on: who takes it, and that nothing is left."""

import asyncio
import errno
import os
import socket
from collections.abc import Awaitable, Callable

import pytest

from service.http.sharing import AGAIN_SECONDS, NOT_LISTENING, Share, SharingServer


class Worker:
    """One of several in this process, with a number of connections from before."""

    def __init__(self, listener: socket.socket, counts: list[int], slot: int, connections: int = 0) -> None:
        self.share = Share(counts, slot)
        self.share.add(connections)
        self.taken: list[asyncio.BaseTransport] = []
        # Its own descriptor of the one socket, as in a process of its own.
        self.listener = type(listener)(fileno=os.dup(listener.fileno()))
        loop = asyncio.get_running_loop()
        self.server = SharingServer(loop, self.listener, lambda: _Kept(self.taken), 128, self.share)


class _Kept(asyncio.Protocol):
    def __init__(self, taken: list[asyncio.BaseTransport]) -> None:
        self._taken = taken

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._taken.append(transport)


def run(scenario: Callable[[socket.socket], Awaitable[None]], listener_class: type[socket.socket] = socket.socket):
    async def main():
        with listener_class() as listener:
            listener.bind(("127.0.0.1", 0))
            async with asyncio.timeout(20):
                await scenario(listener)

    asyncio.run(main())


async def connect(listener: socket.socket, connections: int, workers: list[Worker]) -> list[socket.socket]:
    """So many, one after the other, each taken by one of the workers before the next one comes."""
    clients = []
    for _ in range(connections):
        before = sum(len(worker.taken) for worker in workers)
        clients.append(socket.create_connection(listener.getsockname()))
        while sum(len(worker.taken) for worker in workers) == before:
            await asyncio.sleep(0.001)
    return clients


def end(clients: list[socket.socket], *workers: Worker) -> None:
    for worker in workers:
        worker.server.close()
        worker.listener.close()
        for transport in worker.taken:
            transport.abort()
    for client in clients:
        client.close()


@pytest.mark.parametrize(
    ("counts", "ahead"),
    [([2, 2], False), ([2, 1], False), ([2, 0], True), ([2, NOT_LISTENING], False), ([3, 9, 1], True)],
)
def test_worker_is_ahead_of_one_that_has_two_fewer_and_listens(counts, ahead):
    shared = list(counts)
    share = Share(shared, 0)
    share.listen(True)
    share.add(counts[0])
    assert shared == counts
    assert share.is_ahead == ahead


def test_connections_go_to_whoever_has_fewer():
    async def scenario(listener):
        counts = [NOT_LISTENING] * 2
        workers = [Worker(listener, counts, 0, connections=6), Worker(listener, counts, 1)]
        clients = await connect(listener, 10, workers)
        assert sum(counts) == 16
        assert abs(counts[0] - counts[1]) <= 2
        end(clients, *workers)
        assert counts == [NOT_LISTENING] * 2

    run(scenario)


def test_what_a_worker_that_has_fewer_does_not_take_is_taken_all_the_same():
    async def scenario(listener):
        counts = [NOT_LISTENING, 0]  # the other one was killed just now
        worker = Worker(listener, counts, 0, connections=2)
        clients = [socket.create_connection(listener.getsockname()) for _ in range(100)]
        while len(worker.taken) < 100:
            await asyncio.sleep(0.001)
        assert counts == [102, 0]
        end(clients, worker)

    run(scenario)


def test_nothing_is_taken_after_the_end():
    async def scenario(listener):
        counts = [NOT_LISTENING, 0]
        worker = Worker(listener, counts, 0, connections=2)
        client = socket.create_connection(listener.getsockname())
        await asyncio.sleep(0)  # seen, and left to the other one
        worker.server.close()
        await worker.server.wait_closed()
        await asyncio.sleep(0.05)
        assert worker.taken == []
        end([client], worker)

    run(scenario)


class _Exhausted(socket.socket):
    """Has no file descriptor for the first connection that it is asked for."""

    asked = 0

    def accept(self):
        type(self).asked += 1
        if self.asked == 1:
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


def test_worker_without_descriptors_tries_again_after_a_while(caplog):
    async def scenario(listener):
        began = asyncio.get_running_loop().time()
        worker = Worker(listener, [NOT_LISTENING], 0)
        clients = await connect(listener, 1, [worker])
        assert asyncio.get_running_loop().time() - began >= 0.9 * AGAIN_SECONDS
        assert _Exhausted.asked <= 4
        end(clients, worker)

    run(scenario, _Exhausted)
    assert "no connection can be taken: [Errno 24] Too many open files; again in 1 s" in caplog.text
