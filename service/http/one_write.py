"""A response in one piece: its head goes out together with what follows.

uvicorn writes both apart, and uvloop sends each at once: two system calls and two packets where one will do.
"""

import asyncio
from typing import Any


class OneWrite:
    """A transport that holds a response's head back until its body comes, or the loop's next turn.

    Args:
        transport: that sends; whatever else is asked of this one, it answers.
        loop: of both.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._head = b""
        # Asked in each request: without detour.
        self.is_closing, self.resume_reading = transport.is_closing, transport.resume_reading

    def write(self, data: bytes) -> None:
        """Sends, but for a head, which waits."""
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(b"HTTP/1.1 ") and data.endswith(b"\r\n\r\n"):
            self._head = data
            # There may be no body, or one that comes later.
            self._loop.call_soon(self._send_head)
            return
        self._transport.write(data)

    def close(self) -> None:
        self._send_head()
        self._transport.close()

    def write_eof(self) -> None:
        self._send_head()
        self._transport.write_eof()

    def _send_head(self) -> None:
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
