"""Headers that tell browsers what they may do with an answer, and who may ask from a page."""

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

Header = tuple[bytes, bytes]

ANSWER: list[Header] = [(b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]
"""Of every answer: it is what its type says, and nobody keeps it."""

PAGE: list[Header] = [
    *ANSWER,
    (b"referrer-policy", b"no-referrer"),
    (
        b"content-security-policy",
        # Swagger starts from a script in its page, and draws with pictures that lie in its style sheet.
        b"default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
        b"img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
]
"""Of a page: it loads nothing from elsewhere, and nobody shows it within theirs."""


def with_cors(app: ASGIApp, origins: list[str]) -> ASGIApp:
    """The app, which pages of these origins may call from a browser."""
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", "Content-Type", "X-Request-ID", "X-Request-Timeout"],
        expose_headers=["X-Request-ID", "Retry-After"],
    )


class SecurityHeaders:
    """ASGI middleware: adds them to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message.get("headers", [])
                message["headers"] = [*headers, *(PAGE if _is_page(headers) else ANSWER)]
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _is_page(headers: list[Header]) -> bool:
    return any(name == b"content-type" and value.startswith(b"text/html") for name, value in headers)
