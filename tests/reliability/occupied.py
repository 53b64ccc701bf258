"""Networks that are busy right now, for certain."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.reliability.bundles import PLAIN, busy
from tests.reliability.wire import ask, connect, predict_request, read_answer


@contextmanager
def occupied(port: int, seconds: float) -> Iterator[int]:
    """While one image keeps the networks of a faulty bundle busy; its own answer is read at the end.

    Gives the number of images that were answered before they were busy: an image that is not answered at once is the
    proof that they are.
    """
    with connect(port) as connection:
        connection.sendall(predict_request(busy(seconds)))
        answered = 0
        while ask(port, PLAIN, X_Request_Timeout="0.05").status == 200:
            answered += 1
        yield answered
        assert read_answer(connection).status == 200
