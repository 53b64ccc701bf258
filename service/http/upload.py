"""The bytes of one image out of a request: field `image` of a multipart form, or the raw body.

Bytes are counted as they stream in: what is over a limit, of one request or of all together, never is in memory.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.types import Receive

from service.errors import (
    ClientGone,
    EncodingUnsupported,
    ImageMissing,
    ImageTooLarge,
    MediaTypeUnsupported,
    UploadTooSlow,
)
from service.http.admission import Seat
from service.http.multipart import FIELD, boundary_of, image_of_form

FORM_OVERHEAD_BYTES = 65_536
"""What a form may hold beside the image: boundaries, part headers, other fields."""

Headers = Mapping[bytes, bytes]
"""Names in lower case, as ASGI has them."""


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """What one upload may take."""

    bytes: int
    """Of the image."""
    seconds: float
    """Until the body is there whole."""


async def read_image(
    headers: Headers, receive: Receive, limits: UploadLimits, seat: Seat, is_whole: bool = False
) -> bytes:
    """The encoded image that a request carries.

    Args:
        headers, receive: of the request.
        limits: of this upload.
        seat: where its bytes count among those of all requests.
        is_whole: whether the body is there already, and needs no guard against a slow caller.

    Raises:
        ImageMissing: the body is empty, or a form without the field `image`.
        UploadMalformed: a form that breaks off or does not follow its own boundary.
        ImageTooLarge: the image is larger than allowed.
        UploadTooSlow: the body did not come in time.
        MediaTypeUnsupported, EncodingUnsupported: neither a form nor an image, or a compressed body.
        Overloaded: too many bytes are in flight.
        ClientGone: the caller hung up.
    """
    if (encoding := headers.get(b"content-encoding", b"identity").lower()) != b"identity":
        raise EncodingUnsupported(
            f"content encoding is {_shown(encoding)}; send the body as it is: images are compressed already"
        )
    content_type = headers.get(b"content-type", b"").decode("latin-1")
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == "multipart/form-data":
        boundary = boundary_of(content_type)
        if _has_no_body(headers):
            raise ImageMissing(f"the form is empty; send the image in field `{FIELD}`")
        body = await _read_body(headers, receive, limits, seat, is_whole, FORM_OVERHEAD_BYTES)
        image = image_of_form(body, boundary)
        _check_bytes(len(image), limits.bytes)
        return image
    if media_type.startswith("image/"):
        if not (body := await _read_body(headers, receive, limits, seat, is_whole, 0)):
            raise ImageMissing("the body is empty; send the bytes of one image")
        return bytes(body)
    if _has_no_body(headers):
        raise ImageMissing("the request has no body; send the image as form field `image` or as the body itself")
    found = f"content type is {media_type[:64]}" if media_type else "there is no content type"
    raise MediaTypeUnsupported(
        f"{found}; send multipart/form-data with the image in field `image`, or the image itself as image/*"
    )


async def _read_body(
    headers: Headers, receive: Receive, limits: UploadLimits, seat: Seat, is_whole: bool, overhead: int
) -> bytes | bytearray:
    announced = headers.get(b"content-length", b"")
    if announced.isdigit() and int(announced[:20]) > limits.bytes + overhead:
        raise ImageTooLarge(_too_large(f"upload is {_shown(announced)} bytes", limits.bytes))
    receiving = _receive_all(receive, limits.bytes, overhead, seat)
    if is_whole:
        return await receiving
    try:
        async with asyncio.timeout(limits.seconds):
            return await receiving
    except TimeoutError:
        raise UploadTooSlow(
            f"the body was not whole after {limits.seconds:g} s; send it faster, or raise TRUSTSERVE_UPLOAD_SECONDS"
        ) from None


async def _receive_all(receive: Receive, max_bytes: int, overhead: int, seat: Seat) -> bytes | bytearray:
    whole: bytes | bytearray = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone("the connection closed before the whole image was sent")
        chunk: bytes = message.get("body", b"")
        _check_bytes(len(whole) + len(chunk), max_bytes + overhead, max_bytes)
        seat.take(len(chunk))
        if not message.get("more_body", False) and not whole:
            # All at once, as small images come: nothing is copied.
            return chunk
        if not whole:
            whole = bytearray()
        whole += chunk
        if not message.get("more_body", False):
            return whole


def _has_no_body(headers: Headers) -> bool:
    return headers.get(b"content-length", b"0") == b"0" and b"transfer-encoding" not in headers


def _check_bytes(received: int, limit: int, max_bytes: int | None = None) -> None:
    if received > limit:
        raise ImageTooLarge(_too_large("image is larger than allowed", limit if max_bytes is None else max_bytes))


def _too_large(finding: str, max_bytes: int) -> str:
    return f"{finding}, limit is {max_bytes} bytes; resize the image or raise TRUSTSERVE_MAX_IMAGE_BYTES"


def _shown(value: bytes) -> str:
    return value[:32].decode("latin-1")
