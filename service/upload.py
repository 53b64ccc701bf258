"""The bytes of one image out of a request: field `image` of a multipart form, or the raw body.

Bytes are counted as they stream in: what is over the limit never is in memory.
"""

from collections.abc import Callable

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.requests import ClientDisconnect, Request

from service.errors import ClientGone, ImageMissing, ImageTooLarge, MediaTypeUnsupported, UploadMalformed

FIELD = "image"
FORM_OVERHEAD_BYTES = 65_536
"""What a form may hold beside the image: boundaries, part headers, other fields."""


async def read_image(request: Request, max_bytes: int) -> bytes:
    """The encoded image that a request carries, at most `max_bytes`.

    Raises:
        ImageMissing: the body is empty, or a form without the field `image`.
        UploadMalformed: a form that breaks off or does not follow its own boundary.
        ImageTooLarge: more than `max_bytes`.
        MediaTypeUnsupported: neither a form nor an image.
        ClientGone: the caller hung up.
    """
    media_type, options = parse_options_header(request.headers.get("content-type"))
    try:
        if media_type == b"multipart/form-data":
            return await _read_form(request, options.get(b"boundary", b""), max_bytes)
        if media_type.startswith(b"image/"):
            return await _read_raw(request, max_bytes)
    except ClientDisconnect:
        raise ClientGone("the connection closed before the whole image was sent") from None
    if _has_no_body(request):
        raise ImageMissing("the request has no body; send the image as form field `image` or as the body itself")
    found = f"content type is {media_type.decode('latin-1')}" if media_type else "there is no content type"
    raise MediaTypeUnsupported(
        f"{found}; send multipart/form-data with the image in field `image`, or the image itself as image/*"
    )


async def _read_raw(request: Request, max_bytes: int) -> bytes:
    _check_content_length(request, max_bytes, max_bytes)
    image = bytearray()
    async for chunk in request.stream():
        image += chunk
        _check_bytes(len(image), max_bytes)
    if not image:
        raise ImageMissing("the body is empty; send the bytes of one image")
    return bytes(image)


async def _read_form(request: Request, boundary: bytes, max_bytes: int) -> bytes:
    if not boundary:
        raise UploadMalformed("content type multipart/form-data names no boundary; let the client library set it")
    if _has_no_body(request):
        raise ImageMissing(f"the form is empty; send the image in field `{FIELD}`")
    _check_content_length(request, max_bytes + FORM_OVERHEAD_BYTES, max_bytes)
    try:
        form = _ImageForm(boundary, max_bytes)
        received = 0
        async for chunk in request.stream():
            received += len(chunk)
            if received > max_bytes + FORM_OVERHEAD_BYTES:
                raise ImageTooLarge(_too_large("form is larger than allowed", max_bytes))
            form.feed(chunk)
    except FormParserError as error:
        raise UploadMalformed(f"the form cannot be read: {error}") from None
    return form.image()


class _ImageForm:
    """Push parser that keeps the bytes of one field and drops all others."""

    def __init__(self, boundary: bytes, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._fields: list[str] = []
        self._image = bytearray()
        self._header_name = self._header_value = b""
        self._field = ""
        self._ended = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._extend_header_name,
                "on_header_value": self._extend_header_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
                "on_part_data": self._add_data,
                "on_end": self._end,
            },
        )
        self.feed: Callable[[bytes], int] = self._parser.write

    def image(self) -> bytes:
        if not self._ended:
            raise UploadMalformed("the form breaks off before its closing boundary; send it whole")
        if FIELD not in self._fields:
            found = ", ".join(f"`{name[:64]}`" for name in self._fields[:8]) or "none"
            raise ImageMissing(f"the form has no field `{FIELD}` (fields found: {found}); send the image in it")
        if not self._image:
            raise ImageMissing(f"field `{FIELD}` is empty; send the bytes of one image")
        return bytes(self._image)

    def _begin_part(self) -> None:
        self._field = ""
        self._header_name = self._header_value = b""

    def _extend_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _extend_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            _, options = parse_options_header(self._header_value.decode("latin-1"))
            self._field = options.get(b"name", b"").decode("utf-8", "replace")
        self._header_name = self._header_value = b""

    def _end_headers(self) -> None:
        if self._field == FIELD and FIELD in self._fields:
            raise UploadMalformed(f"the form has field `{FIELD}` twice; send one image a request")
        self._fields.append(self._field)

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if self._field == FIELD:
            _check_bytes(len(self._image) + end - start, self._max_bytes)
            self._image += data[start:end]

    def _end(self) -> None:
        self._ended = True


def _has_no_body(request: Request) -> bool:
    return request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers


def _check_content_length(request: Request, limit: int, max_bytes: int) -> None:
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise ImageTooLarge(_too_large(f"upload is {announced} bytes", max_bytes))


def _check_bytes(received: int, max_bytes: int) -> None:
    if received > max_bytes:
        raise ImageTooLarge(_too_large("image is larger than allowed", max_bytes))


def _too_large(finding: str, max_bytes: int) -> str:
    return f"{finding}, limit is {max_bytes} bytes; resize the image or raise TRUSTSERVE_MAX_IMAGE_BYTES"
