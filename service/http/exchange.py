"""One request and its answer, between uvicorn and the app: what uvicorn knows of the one, and how the other is sent.

A body that came with its head is known to be whole: nobody needs to guard against a slow upload. A response goes out in
one piece, where uvicorn writes head and body apart, and looks for forbidden characters in each header by itself: two
system calls and two packets where one will do. That a head waits for its body is what ASGI asks for.
"""

import re
from collections.abc import Mapping, MutableMapping
from itertools import chain
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

BODY_IS_WHOLE = "trustserve.body_is_whole"
"""ASGI extension of a request whose body is there before the app is called."""

_FORBIDDEN = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_LEFT_TO_UVICORN = {b"connection", b"transfer-encoding"}


class Exchange:
    """ASGI middleware of one request: a response that is whole is sent in one write, any other as uvicorn does it.

    Args:
        app: that answers.
        cycle: uvicorn's, of this request.
    """

    __slots__ = ("_app", "_cycle", "_start")

    def __init__(self, app: ASGIApp, cycle: RequestResponseCycle) -> None:
        self._app, self._cycle = app, cycle
        self._start: Message | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        if not self._cycle.more_body:
            scope["extensions"] = {BODY_IS_WHOLE: {}}
        await self._app(scope, receive, self.send)

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Takes the app's messages; a head is kept until its body comes."""
        cycle = self._cycle
        if message["type"] == "http.response.start" and not cycle.response_started and self._start is None:
            self._start = message
            return
        start, self._start = self._start, None
        if start is not None:
            if (response := _whole(start, message, cycle)) is not None:
                _complete(cycle, response)
                return
            await cycle.send(start)  # type: ignore[arg-type]
        await cycle.send(message)  # type: ignore[arg-type]


def _whole(start: Mapping[str, Any], message: Mapping[str, Any], cycle: RequestResponseCycle) -> bytes | None:
    """The bytes of a response, if it is one of known length, all there, to somebody who can take it now."""
    body = message.get("body", b"")
    if (
        message["type"] != "http.response.body"
        or message.get("more_body", False)
        or cycle.scope["method"] == "HEAD"
        or cycle.access_log
        or cycle.disconnected
        or cycle.flow.write_paused
    ):
        return None
    pieces = [STATUS_LINE[start["status"]]]
    length = None
    for name, value in chain(cycle.default_headers, start.get("headers", ())):
        if name == b"content-length":
            length = value
        elif name in _LEFT_TO_UVICORN:
            return None
        pieces += (name, b": ", value, b"\r\n")
    if length != b"%d" % len(body):
        return None
    if not cycle.keep_alive:
        pieces.append(b"connection: close\r\n")
    head = b"".join(pieces)
    # A line more than there are headers: one of them would end early, and the caller would take its rest for another.
    lines = len(pieces) // 4 + 1 + (not cycle.keep_alive)
    if _FORBIDDEN.search(head) or not head.count(b"\r") == head.count(b"\n") == lines:
        return None
    return b"".join((head, b"\r\n", body))


def _complete(cycle: RequestResponseCycle, response: bytes) -> None:
    """Sends it, and leaves the cycle as uvicorn does."""
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    cycle.transport.write(response)
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
