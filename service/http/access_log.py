"""A line for every request, where somebody wants it: who asked for what, and how long it took.

Written by a thread of its own: what reads the log does not hold up who asks.
"""

import atexit
import logging
import time
from contextlib import suppress
from logging.handlers import QueueHandler, QueueListener
from queue import Full, Queue

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LONGEST_QUEUE = 10_000
"""Most lines that wait to be written; beyond, they are not."""

_logger = logging.getLogger("trustserve.access")


class AccessLog:
    """ASGI middleware, the outermost. Neither query nor headers are logged, but the request id."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        _write_in_the_background()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status, request_id = 0, ""

        async def send_and_look(message: Message) -> None:
            nonlocal status, request_id
            if message["type"] == "http.response.start":
                status = message["status"]
                request_id = Headers(raw=message["headers"]).get("X-Request-ID", "")
            await send(message)

        try:
            await self._app(scope, receive, send_and_look)
        finally:
            milliseconds = round((time.perf_counter() - began) * 1000, 3)
            what = {"method": scope["method"], "path": scope["path"], "status": status, "milliseconds": milliseconds}
            client = scope["client"][0] if scope.get("client") else ""
            _logger.info(
                "%s %s: %d in %.3f ms",
                *what.values(),
                extra={"request_id": request_id, "client": client, **what},
            )


class _DroppingHandler(QueueHandler):
    def enqueue(self, record: logging.LogRecord) -> None:
        with suppress(Full):
            self.queue.put_nowait(record)


def _write_in_the_background() -> None:
    if _logger.handlers:
        return
    queue: Queue[logging.LogRecord] = Queue(LONGEST_QUEUE)
    listener = QueueListener(queue, *logging.getLogger().handlers)
    _logger.addHandler(_DroppingHandler(queue))
    _logger.propagate = False
    listener.start()
    atexit.register(listener.stop)
