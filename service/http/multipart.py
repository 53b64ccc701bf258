"""The one field that /predict wants out of a multipart form (RFC 7578), by searching for boundaries in the whole body.

A form of an image has one part or a few: `bytes.find` is through in microseconds, where a parser that calls back for
every header and chunk takes longer than a small network.
"""

import re
from collections.abc import Iterator

from service.errors import ImageMissing, UploadMalformed

FIELD = "image"
LONGEST_BOUNDARY = 70
"""RFC 2046, section 5.1.1."""
LONGEST_HEAD = 8192
"""Bytes of one part's headers."""

_BOUNDARY = re.compile(r';\s*boundary\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s";,]+))', re.IGNORECASE)
_USUAL = re.compile(rb'Content-Disposition: form-data; name="([^"\\\r\n]*)"')
"""How a part begins that a browser, curl or a client library made: found at once, where the others are searched."""
_DISPOSITION = re.compile(rb"^content-disposition[ \t]*:([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_NAME = re.compile(rb';[ \t]*name[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s";]+))', re.IGNORECASE)
_LINE_END = re.compile(rb"[ \t]*\r\n")
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)


def boundary_of(content_type: str) -> bytes:
    r"""What separates the parts, by the header Content-Type.

    >>> boundary_of('multipart/form-data; charset=utf-8; boundary="a b"')
    b'a b'

    Raises:
        UploadMalformed: it names none, or one that is longer than allowed.
    """
    found = _BOUNDARY.search(content_type)
    boundary = (found[1] or found[2] or "") if found else ""
    if not boundary:
        raise UploadMalformed("content type multipart/form-data names no boundary; let the client library set it")
    if len(boundary) > LONGEST_BOUNDARY:
        raise UploadMalformed(f"the boundary has {len(boundary)} characters, limit is {LONGEST_BOUNDARY}")
    return boundary.encode("latin-1", "replace")


def image_of_form(body: bytes | bytearray, boundary: bytes) -> bytes:
    r"""The bytes of field `image`; other fields are passed over.

    >>> image_of_form(b'--b\r\nContent-Disposition: form-data; name="image"\r\n\r\nGIF89a\r\n--b--\r\n', b"b")
    b'GIF89a'

    Args:
        body: the whole form.
        boundary: as `boundary_of` has it.

    Raises:
        UploadMalformed: it breaks off, does not keep to its boundary, or has the field twice.
        ImageMissing: it has no such field, or an empty one.
    """
    image: bytes | None = None
    fields: list[str] = []
    for name, start, end in _parts(body, b"--" + boundary):
        if name == FIELD:
            if image is not None:
                raise UploadMalformed(f"the form has field `{FIELD}` twice; send one image a request")
            image = bytes(body[start:end])
        fields.append(name)
    if image is None:
        found = ", ".join(f"`{name[:64]}`" for name in fields[:8]) or "none"
        raise ImageMissing(f"the form has no field `{FIELD}` (fields found: {found}); send the image in it")
    if not image:
        raise ImageMissing(f"field `{FIELD}` is empty; send the bytes of one image")
    return image


def _parts(body: bytes | bytearray, delimiter: bytes) -> Iterator[tuple[str, int, int]]:
    """Name of each part, and where its content begins and ends."""
    at = _first(body, delimiter)
    while not body.startswith(b"--", at):
        line_end = _LINE_END.match(body, at)
        if line_end is None:
            raise UploadMalformed("the form cannot be read: a boundary is not followed by the end of its line")
        # From the line's end on: a part without headers begins with an empty line.
        head = body.find(b"\r\n\r\n", line_end.end() - 2, line_end.end() + LONGEST_HEAD)
        if head < 0:
            raise _broken_off(body, "the headers of a part", line_end.end() + LONGEST_HEAD)
        start = head + 4
        # From the empty line on: the content may be empty too.
        end = body.find(b"\r\n" + delimiter, start - 2)
        if end < 0:
            raise _broken_off(body, "a part")
        yield _name(body[line_end.end() : head]), start, max(start, end)
        at = end + 2 + len(delimiter)


def _first(body: bytes | bytearray, delimiter: bytes) -> int:
    """Where the first boundary ends; what comes before it, if anything does, is to be passed over."""
    if body.startswith(delimiter):
        return len(delimiter)
    found = body.find(b"\r\n" + delimiter)
    if found < 0:
        raise UploadMalformed("the form does not begin with its boundary; send what the client library made, whole")
    return found + 2 + len(delimiter)


def _name(head: bytes | bytearray) -> str:
    """Of the field whose part has these headers; empty where they do not say."""
    if usual := _USUAL.match(head):
        return usual[1].decode("utf-8", "replace")
    disposition = _DISPOSITION.search(head)
    found = _NAME.search(disposition[1]) if disposition else None
    if found is None:
        return ""
    name = found[2] if found[1] is None else _ESCAPED.sub(rb"\1", found[1])
    return name.decode("utf-8", "replace")


def _broken_off(body: bytes | bytearray, where: str, limit: int | None = None) -> UploadMalformed:
    if limit is not None and len(body) > limit:
        return UploadMalformed(f"{where} are longer than {LONGEST_HEAD} bytes; send fewer of them")
    return UploadMalformed(f"the form breaks off within {where}; send it whole, to its closing boundary")
