"""Images nobody should send: real ones of every kind, bombs and absurdities, and what accidents make of them."""

import io
import itertools
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from random import Random

from PIL import Image

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I", "I;16", "F")
EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def mutated_images(count: int, seed: int) -> Iterator[bytes]:
    """So many images, the same for the same seed: one in ten as it is, the rest spoilt in one of six ways."""
    random = Random(seed)
    seeds = [*real_images(), *absurd_images()]
    ways = (_truncated, _flipped, _spliced, _extreme_number, _shifted, _repeated)
    for _ in range(count):
        image = random.choice(seeds)
        yield image if random.random() < 0.1 else random.choice(ways)(random, image, random.choice(seeds))


def real_images() -> list[bytes]:
    """Small images of every format in every mode it has: animated, turned, compressed, single pixels and strips."""
    grey = Image.effect_noise((11, 7), 80)
    colour = Image.merge("RGB", [grey, grey.rotate(180), grey.transpose(Image.Transpose.FLIP_LEFT_RIGHT)])
    turned = Image.Exif()
    turned[0x0112] = 6
    images = {mode: (grey.convert("I") if mode == "I;16" else colour).convert(mode) for mode in MODES if mode != "LA"}
    images["LA"] = grey.convert("LA")
    found = []
    for image, kind in itertools.product([*images.values(), colour.resize((1, 1)), grey.resize((1, 500))], FORMATS):
        frames = [image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), image]
        for options in (
            {},
            {"exif": turned},
            {"save_all": True, "append_images": frames},
            *({"compression": name} for name in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "group4")),
        ):
            # Not every format has every mode, and only TIFF has compressions.
            if "compression" not in options or kind == "TIFF":
                with suppress(OSError, ValueError, KeyError):
                    found.append(encoded(image, kind, **options))
    return found


def absurd_images() -> list[bytes]:
    """Strips, bombs of every format, EXIF blocks that lie, and files within files."""
    plain = Image.new("L", (4, 4), 90)
    claims = [
        png_of(60_000, 60_000),
        png_of(1, 2**31 - 1),
        b"BM" + struct.pack("<IIIIiiHHIIiiII", 54, 0, 54, 40, 65_000, -65_000, 1, 24, 0, 0, 0, 0, 0, 0),
        b"GIF89a"
        + struct.pack("<HHBBB", 65_535, 65_535, 0, 0, 0)
        + b","
        + struct.pack("<HHHHB", 0, 0, 65_535, 65_535, 0),
        b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<IB3x", 10, 2) + b"\xff\x3f\x00\xff\x3f\x00",
        tiff_of({256: 60_000, 257: 60_000, 258: 8, 259: 1, 262: 1, 273: 8, 279: 100}),
        tiff_of({256: 4, 257: 4, 258: 8, 259: 1, 262: 1, 322: 60_000, 323: 60_000, 324: 8, 325: 16}),
        tiff_of({256: 900, 257: 900, 258: 8, 259: 5, 262: 1, 273: 8, 278: 2**31, 279: 2**31}),
        tiff_of({256: 4, 257: 4, 258: 8, 259: 1, 262: 1, 273: 8, 279: 16}, following=8),
    ]
    bombs = [
        png_of(900, 900, zlib.compress(bytes(901 * 900))),
        png_of(4, 4, zlib.compress(bytes(20)), text=zlib.compress(bytes(2_000_000))),
        png_of(4, 4, zlib.compress(bytes(5_000_000))),
    ]
    strips = [
        encoded(Image.new("L", size, 90), kind) for size in ((1, 50_000), (50_000, 1)) for kind in ("PNG", "JPEG")
    ]
    exifs = [
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0" * 500,
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x87\x69\0\x04\0\0\0\x01\0\0\0\x08\0\0\0\x08",  # a directory within itself
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"\xff" * 60_000,
    ]
    lies = [encoded(plain, kind, exif=exif) for exif in exifs for kind in ("JPEG", "PNG", "WEBP")]
    whole = encoded(plain, "PNG")
    # Bytes 24 to 29 are the canvas: 12,000 x 12,000, which the decoder makes when it is opened.
    animated = encoded(plain, "WEBP", save_all=True, append_images=[Image.new("L", (4, 4), 9)])
    claims.append(animated[:24] + b"\xdf\x2e\0" * 2 + animated[30:])
    return [
        *claims,
        *bombs,
        *strips,
        *lies,
        whole * 3,
        whole + encoded(plain, "GIF"),
        b"RIFF\x04\0\0\0WAVE",
        b"BM",
        b"GIF89a",
    ]


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png_of(width: int, height: int, pixels: bytes = b"", text: bytes = b"") -> bytes:
    """A grey PNG that says it has this size, around whatever is compressed in it."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)), (b"IDAT", pixels), (b"IEND", b"")]
    if text:
        chunks.insert(1, (b"zTXt", b"Comment\0\0" + text))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def tiff_of(tags: dict[int, int], following: int = 0) -> bytes:
    """A TIFF of one directory, each entry one long number; then where the next directory is said to be."""
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", following)


def _truncated(random: Random, image: bytes, _: bytes) -> bytes:
    return image[: random.randrange(1, len(image) + 1)]


def _flipped(random: Random, image: bytes, _: bytes) -> bytes:
    data = bytearray(image)
    for _bit in range(random.randint(1, 8)):
        data[_position(random, data)] ^= 1 << random.randrange(8)
    return bytes(data)


def _spliced(random: Random, image: bytes, other: bytes) -> bytes:
    return image[: random.randrange(1, len(image) + 1)] + other[random.randrange(len(other)) :]


def _extreme_number(random: Random, image: bytes, _: bytes) -> bytes:
    data = bytearray(image)
    size, order = random.choice([1, 2, 4]), random.choice(["little", "big"])
    number = random.choice(EXTREMES) & (256**size - 1)
    start = _position(random, data)
    data[start : start + size] = number.to_bytes(size, order)
    return bytes(data)


def _shifted(random: Random, image: bytes, _: bytes) -> bytes:
    start = _position(random, image)
    return (
        image[:start] + (random.randbytes(random.randint(1, 9)) if random.random() < 0.5 else b"") + image[start + 1 :]
    )


def _repeated(random: Random, image: bytes, _: bytes) -> bytes:
    start, end = sorted((_position(random, image), _position(random, image)))
    return image[:end] + image[start:end] * random.randint(1, 20) + image[end:]


def _position(random: Random, data: bytes | bytearray) -> int:
    """Anywhere, half of the time in the header."""
    return random.randrange(min(len(data), 64) if random.random() < 0.5 else len(data))
