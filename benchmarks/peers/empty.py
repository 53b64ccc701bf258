"""What HTTP alone costs: handlers that take the upload and do nothing with it."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastapi import FastAPI, Request, UploadFile

Message = MutableMapping[str, Any]

upload = FastAPI()
raw = FastAPI()


@upload.post("/predict")
async def take_upload(image: UploadFile) -> dict[str, str]:
    """FastAPI parses the form; nothing is read of it."""
    return {"label": image.filename or ""}


@raw.post("/predict")
async def take_body(request: Request) -> dict[str, int]:
    """The body as it comes, without FastAPI's parameters."""
    return {"bytes": len(await request.body())}


async def bare(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """An ASGI application without a framework: reads the body, answers two bytes."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body", False):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})
