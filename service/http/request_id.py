"""Request ids: every request has one, every answer carries it, and nothing escapes as a bare traceback."""

import logging
import os
import re
import time
from collections.abc import Iterator

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import IN_THE_LOG, ServiceError
from service.http.problems import REQUEST_ID_HEADER, problem_response

DRAWN_AT_ONCE = 256

_PATTERN = re.compile(r"[A-Za-z0-9._-]{1,64}")
_logger = logging.getLogger("trustserve")


class RequestId:
    """ASGI middleware: keeps the caller's id if it is a sane token, else makes one; turns any exception into a 500.

    The 500 is made here, inside the id's reach: starlette's own would come without the header.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = choose_id(Headers(scope=scope).get(REQUEST_ID_HEADER, ""))
        scope.setdefault("state", {})["request_id"] = request_id
        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message)[REQUEST_ID_HEADER] = request_id
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception:
            _logger.exception("request %s to %s failed", request_id, scope["path"], extra={"request_id": request_id})
            if started:
                raise
            error = ServiceError(f"something unexpected happened; {IN_THE_LOG}")
            await problem_response(request_id, error)(scope, receive, send_with_id)


def is_request_id(text: str) -> bool:
    """Whether a request can have this id; one is 1 to 64 of A-Z a-z 0-9 . _ -, so no path and no markup.

    >>> is_request_id("3f0c1d3c"), is_request_id("../3f0c1d3c"), is_request_id("")
    (True, False, False)
    """
    return _PATTERN.fullmatch(text) is not None


def choose_id(sent: str) -> str:
    """The caller's own id if it is one, else a new one."""
    return sent if is_request_id(sent) else next(_new_ids)


def _random_ids() -> Iterator[str]:
    """Ids of 32 characters: eight that say the second and 96 bits that nobody guesses.

    By the second, so that a journal adds its rows at one end of its index: with random ids alone it writes all over it,
    which takes longer the more it holds. Many are drawn at a time: a call of the system lets another thread have the
    interpreter.
    """
    while True:
        second, drawn = f"{int(time.time()):08x}", os.urandom(12 * DRAWN_AT_ONCE).hex()
        yield from (second + drawn[start : start + 24] for start in range(0, len(drawn), 24))


_new_ids = _random_ids()
