"""HTTP connections that cost a bounded amount of time and memory, whoever is at the other end.

uvicorn's protocol waits for a request's head for ever, keeps as many header bytes and pipelined requests as are sent,
and as long as answers are not read. Here each of these has an end.
"""

import asyncio
import http
import uuid
from collections.abc import Callable
from typing import Any, ClassVar

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from service.http.exchange import Exchange
from service.http.problems import MEDIA_TYPE
from service.http.sharing import Share
from service.schemas import Problem

HEAD_SECONDS = 10.0
"""In which a request's head has to come whole, from the connection's begin or its own first byte on."""
SEND_SECONDS = 30.0
"""After which somebody who does not read the answers is hung up on."""
LAST_LOOK_SECONDS = 0.05
"""Between the end of such a time and of the connection: a loop that was held up, as when the machine was suspended, has
its timers run before it reads what came meanwhile."""
HEAD_BYTES = 65_536
"""Most bytes of a request that are not its body: request line, headers, framing of chunks, trailers."""
CHUNK_FRAMING_BYTES = 8
"""Of them, what a chunk may bring along: its size and two line ends."""
PIPELINED_REQUESTS = 16
"""Most requests that may be sent ahead of their answers."""
LINGER_SECONDS = 1.0
"""How long a connection that is refused stays half open: closed on unread bytes it is reset, and the reason is lost."""


class _EndOfPatience:
    """Calls back after a while, unless it is cancelled or what came by then cancels it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, callback: Callable[[], object]) -> None:
        self._loop, self._callback = loop, callback
        self._handle = loop.call_later(seconds, self._look)

    def _look(self) -> None:
        self._handle = self._loop.call_later(LAST_LOOK_SECONDS, self._callback)

    def cancel(self) -> None:
        """Nobody has to be called back."""
        self._handle.cancel()


class BoundedHttpProtocol(HttpToolsProtocol):
    """One connection, from its begin to its end."""

    share: ClassVar[Share | None] = None
    """Told of its end, where several workers share what comes."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._awaits_head = True
        self._head_bytes = 0
        self._refused = False
        self._head_timer: _EndOfPatience | None = None
        self._send_timer: _EndOfPatience | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head_timer = _EndOfPatience(self.loop, HEAD_SECONDS, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        self._stop_send_timer()
        super().connection_lost(exc)
        if self.share is not None:
            self.share.add(-1)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._unset_keepalive_if_required()
        self._head_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Answered as if it had not been asked for: there are no web sockets here.
            pass
        except httptools.HttpParserError:
            self._refuse(400, "this is not HTTP as RFC 9112 has it; the connection is closed")
        else:
            self._check_head()

    def on_headers_complete(self) -> None:
        self._stop_head_timer()
        if len(self.pipeline) >= PIPELINED_REQUESTS:
            raise ValueError(f"more than {PIPELINED_REQUESTS} requests ahead of their answers")
        super().on_headers_complete()
        self._awaits_head = False

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        super()._start_asgi_task(cycle, Exchange(app, cycle))  # type: ignore[arg-type]

    def on_body(self, body: bytes) -> None:
        self._head_bytes = max(0, self._head_bytes - len(body) - CHUNK_FRAMING_BYTES)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._awaits_head, self._head_bytes = True, 0
        super().on_message_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._send_timer = _EndOfPatience(self.loop, SEND_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_send_timer()

    def timeout_keep_alive_handler(self) -> None:
        # In place of uvicorn's own timer, so that a request that came cancels it.
        self.timeout_keep_alive_task = self.loop.call_later(LAST_LOOK_SECONDS, self._close_idle)

    def _close_idle(self) -> None:
        # To close is to wait until all was read, which may be never.
        if self.transport.get_write_buffer_size() > 0:
            self.transport.abort()
        super().timeout_keep_alive_handler()

    def _check_head(self) -> None:
        if self._head_bytes > HEAD_BYTES:
            self._refuse(431, f"the request has more than {HEAD_BYTES} bytes beside its body; the connection is closed")
        elif self._awaits_head and not self._is_watched:
            # Some of a head came: the timer of an idle connection no longer runs.
            self._head_timer = _EndOfPatience(self.loop, HEAD_SECONDS, self.transport.abort)

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def _is_watched(self) -> bool:
        """Whether something will end this connection if no more comes."""
        return self._is_answering or self._head_timer is not None or self.timeout_keep_alive_task is not None

    def _refuse(self, status: int, detail: str) -> None:
        """Takes nothing more; says why, unless that could be taken for the answer to an earlier request."""
        self._refused = True
        self._stop_head_timer()
        if self._is_answering and self._awaits_head:
            # What came before is whole: it has its answer, and the connection ends there.
            self.cycle.keep_alive = False
        elif self._is_answering and (self.pipeline or self.cycle.response_started):
            self.transport.abort()
        else:
            self._answer_instead(_problem(status, detail))

    def _answer_instead(self, answer: bytes) -> None:
        """Answers the request that comes just now, if one does, in place of the app; then ends the connection."""
        if self._is_answering:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.write(answer)
        self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_send_timer(self) -> None:
        if self._send_timer is not None:
            self._send_timer.cancel()
            self._send_timer = None


def _problem(status: int, detail: str) -> bytes:
    """A whole answer that says what is wrong."""
    problem = Problem(
        type="about:blank",
        title=http.HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        request_id=uuid.uuid4().hex,
    )
    body = problem.model_dump_json().encode()
    head = (
        f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\n"
        f"x-request-id: {problem.request_id}\r\nconnection: close\r\n\r\n"
    )
    return STATUS_LINE[status] + head.encode() + body
