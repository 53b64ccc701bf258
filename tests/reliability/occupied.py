"""Networks that are busy right now, for certain."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.exposition import series
from tests.reliability.bundles import busy
from tests.reliability.wire import connect, predict_request, read_answer
from tests.service.server import Server
from tests.waiting import wait_until

BATCHES = series("trust_batch_size_count")


@contextmanager
def occupied(server: Server, seconds: float) -> Iterator[None]:
    """While one image keeps the networks of a faulty bundle busy; its own answer is read at the end.

    Its batch has begun, with it alone: what is asked for inside waits for the next one.
    """
    before = server.metrics()[BATCHES]
    with connect(server.port) as connection:
        connection.sendall(predict_request(busy(seconds)))
        wait_until(lambda: server.metrics()[BATCHES] > before)
        yield
        assert read_answer(connection).status == 200
