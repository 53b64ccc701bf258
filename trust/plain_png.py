"""Plain PNG files, opened at a fraction of the price: nearly all of the small images that programs send.

Pillow's own reader is ready for everything that PNG can be and spends more on that than on a thumbnail's pixels.
A plain file is one that leaves it no choice: 8 bits a channel, no palette, not interlaced, all pixels in one IDAT
chunk, and beside them only notes about their colour and resolution, which change none of them.
"""

import zlib
from typing import NamedTuple

from PIL import Image

MOST_BYTES = 65_536
"""What Pillow's reader takes at a time; in a larger file the time goes into the pixels anyway."""

# Signature, IHDR's length (13) and name; the width follows at byte 16, the height at 20, the rest at 24.
_HEAD = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
_IHDR, _AFTER_IHDR = 8, 33
# By depth, colour type and the methods of compression, filtering and interlacing.
_MODES = {b"\x08\0\0\0\0": "L", b"\x08\2\0\0\0": "RGB", b"\x08\4\0\0\0": "LA", b"\x08\6\0\0\0": "RGBA"}
# Not tEXt: its author chooses the name under which Pillow's reader keeps it, which may be "transparency".
_NOTES = {b"sRGB": 1, b"gAMA": 4, b"pHYs": 9, b"cHRM": 32}


class PlainPng(NamedTuple):
    """A plain PNG file whose header is read."""

    data: bytes
    mode: str
    """Of Pillow; 8 bits a channel."""
    size: tuple[int, int]
    """Width, height."""
    compressed: bytes
    """Content of the IDAT chunk."""

    def decode(self) -> Image.Image | None:
        """The pixels that Pillow's own reader would find; None where they are broken, and it would say how."""
        image = Image.new(self.mode, self.size, None)
        try:
            # The codec behind Pillow's reader, which gets these very bytes, in one piece too.
            image.frombytes(self.compressed, "zip", self.mode)
        except ValueError:
            return None
        return image


def open_plain_png(data: bytes) -> PlainPng | None:
    """The plain PNG file in these bytes; None where they are anything else, or its chunks are broken.

    As in Pillow's own reader, checksums count up to the pixels, and nothing counts after IEND.
    """
    if not data.startswith(_HEAD) or len(data) > MOST_BYTES or not _is_sound(data, _IHDR, 13):
        return None
    mode, size = _MODES.get(data[24:29]), (_number(data, 16), _number(data, 20))
    start = _end_of_notes(data)
    end = start + 8 + _number(data, start)
    if mode is None or 0 in size or data[start + 4 : start + 8] != b"IDAT" or data[end + 8 : end + 12] != b"IEND":
        return None
    return PlainPng(data, mode, size, data[start + 8 : end])


def _end_of_notes(data: bytes) -> int:
    start = _AFTER_IHDR
    while (length := _NOTES.get(data[start + 4 : start + 8])) and _is_sound(data, start, length):
        start += 12 + length
    return start


def _is_sound(data: bytes, start: int, length: int) -> bool:
    """Whether the chunk at `start` has this length and the checksum it states."""
    end = start + 8 + length
    return _number(data, start) == length and zlib.crc32(data[start + 4 : end]) == _number(data, end)


def _number(data: bytes, start: int) -> int:
    return int.from_bytes(data[start : start + 4], "big")
