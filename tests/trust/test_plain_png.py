"""Plain PNG files: the short way to their pixels ends where Pillow's own reader ends, errors included."""

import io
import random
import struct
import zlib
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from trust.plain_png import MOST_BYTES, open_plain_png
from trust.preprocess import ImageError, Preprocess, decode_to_input, open_image, preprocess

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, COLOUR, PALETTE, GREY_ALPHA, COLOUR_ALPHA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, COLOUR: 3, GREY_ALPHA: 2, COLOUR_ALPHA: 4}
LIMIT = 100_000

Chunks = list[tuple[bytes, bytes]]


def header(width: int, height: int, colour=GREY, depth=8, *methods: int) -> tuple[bytes, bytes]:
    """The methods are of compression, of filtering and of interlacing; 0 where they are not given."""
    return b"IHDR", struct.pack(">2I5B", width, height, depth, colour, *methods, *[0] * (3 - len(methods)))


def rows(width: int, height: int, colour=GREY) -> bytes:
    """Any bytes are pixels, whatever their row's filter; the five filters take turns."""
    dice = random.Random(f"{width} x {height}, {colour}")
    return b"".join(bytes([y % 5]) + dice.randbytes(width * CHANNELS[colour]) for y in range(height))


def plain(width=7, height=6, colour=GREY) -> Chunks:
    return [header(width, height, colour), (b"IDAT", zlib.compress(rows(width, height, colour))), (b"IEND", b"")]


def as_file(chunks: Chunks) -> bytes:
    return SIGNATURE + b"".join(
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    )


def with_chunk(name: bytes, content: bytes, colour=GREY, place=1) -> bytes:
    chunks = plain(colour=colour)
    return as_file([*chunks[:place], (name, content), *chunks[place:]])


def spec(width=7, height=6, channels=3) -> Preprocess:
    return Preprocess(input_size=(channels, height, width), mean=(0.0,) * channels, std=(1.0,) * channels)


def outcome(data: bytes, to: Preprocess) -> list | str:
    try:
        return preprocess(data, to, LIMIT).tolist()
    except ImageError as error:
        return str(error)


def outcome_by_pillow(data: bytes, to: Preprocess) -> list | str:
    """What follows where Pillow's own reader opens the file."""
    try:
        image = PngImageFile(io.BytesIO(data))
    except Exception as error:  # noqa: BLE001
        return f"image is broken or truncated ({type(error).__name__}: {error})"
    if image.width * image.height > LIMIT:
        return f"image is {image.width} x {image.height} = {image.width * image.height} pixels, limit is {LIMIT}"
    try:
        return decode_to_input(image, to).tolist()
    except ImageError as error:
        return str(error)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_pixels_of_every_width_come_back_as_they_were(mode):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 70, 3), np.uint8)
    for width in range(1, 71):
        # Half noise, half a ramp, for which an encoder chooses other filters.
        pixels[4:, :width] = np.arange(width)[:, None]
        image = Image.fromarray(pixels[:, :width]).convert(mode)
        file = io.BytesIO()
        image.save(file, "PNG")
        channels = len(image.getbands())
        assert open_plain_png(file.getvalue())
        expected = np.asarray(image).reshape(9, width, channels)
        assert np.array_equal(preprocess(file.getvalue(), spec(width, 9, channels), LIMIT), expected)


@pytest.mark.parametrize("colour", CHANNELS)
@pytest.mark.parametrize("channels", [1, 3])
def test_all_filters_and_colours_are_read_as_by_pillow(colour, channels):
    for width in range(1, 71):
        data, to = as_file(plain(width, 11, colour)), spec(width, 11, channels)
        assert open_plain_png(data)
        assert outcome(data, to) == outcome_by_pillow(data, to)


NOTED = [
    (b"sRGB", b"\0"),
    (b"gAMA", struct.pack(">I", 45_455)),
    (b"pHYs", struct.pack(">2IB", 2835, 2835, 1)),
    (b"cHRM", struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)),
]


@pytest.mark.parametrize(("name", "content"), NOTED)
def test_notes_on_colour_and_resolution_change_nothing(name, content):
    data = with_chunk(name, content)
    assert open_plain_png(data)
    assert outcome(data, spec()) == outcome(as_file(plain()), spec()) == outcome_by_pillow(data, spec())


def test_what_follows_the_end_does_not_count():
    data = as_file(plain()) + b"and more"
    assert open_plain_png(data)
    assert outcome(data, spec()) == outcome_by_pillow(data, spec()) == outcome(as_file(plain()), spec())


START, PIXELS, END = plain()
HALVES = (b"IDAT", PIXELS[1][:20]), (b"IDAT", PIXELS[1][20:])
NOT_PLAIN = {
    "interlaced": as_file([header(7, 6, GREY, 8, 0, 0, 1), PIXELS, END]),
    "unknown filters": as_file([header(7, 6, GREY, 8, 0, 1), PIXELS, END]),
    "unknown compression": as_file([header(7, 6, GREY, 8, 1), PIXELS, END]),
    "1 bit": as_file([header(7, 6, GREY, 1), PIXELS, END]),
    "16 bits": as_file([header(7, 6, GREY, 16), (b"IDAT", zlib.compress(rows(14, 6))), END]),
    "palette": as_file([header(7, 6, PALETTE), (b"PLTE", bytes(range(255))), PIXELS, END]),
    "palette that is missing": as_file([header(7, 6, PALETTE), PIXELS, END]),
    "no width": as_file([header(0, 6), PIXELS, END]),
    "header of 14 bytes": as_file([(b"IHDR", START[1] + b"\0"), PIXELS, END]),
    "two headers": as_file([START, header(6, 7), PIXELS, END]),
    "header in the second place": as_file([NOTED[0], START, PIXELS, END]),
    "pixels in two chunks": as_file([START, *HALVES, END]),
    "pixels in two chunks, something between": as_file([START, HALVES[0], NOTED[0], HALVES[1], END]),
    "no pixels": as_file([START, END]),
    "no end": as_file([START, PIXELS]),
    "something after the pixels": with_chunk(*NOTED[0], place=2),
    "transparent level": with_chunk(b"tRNS", b"\0\x80"),
    "transparent colour": with_chunk(b"tRNS", b"\0\x80\0\x80\0\x80", COLOUR),
    "text": with_chunk(b"tEXt", b"Software\0a program"),
    "text that Pillow takes for transparency": with_chunk(b"tEXt", b"transparency\0x"),
    "text that Pillow takes for interlacing": with_chunk(b"tEXt", b"interlace\0x"),
    "orientation": with_chunk(b"eXIf", b"II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0"),
    "animation": with_chunk(b"acTL", struct.pack(">2I", 1, 0)),
    "note of the wrong length": with_chunk(b"gAMA", b"\0\1"),
    "unknown chunk": with_chunk(b"zzZz", b"whatever"),
    "header's checksum is wrong": as_file(plain()).replace(struct.pack(">I", zlib.crc32(b"".join(START))), b"\0\0\0\0"),
    "note's checksum is wrong": with_chunk(*NOTED[0])[:45] + b"\0" + with_chunk(*NOTED[0])[46:],
    "cut within the pixels": as_file(plain())[:60],
    "nothing but a signature": SIGNATURE,
    "longer than what is read at once": as_file(plain()).ljust(MOST_BYTES + 1, b"\0"),
}


@pytest.mark.parametrize("data", NOT_PLAIN.values(), ids=NOT_PLAIN)
def test_what_is_not_plain_is_left_to_pillow(data):
    assert open_plain_png(data) is None
    assert outcome(data, spec()) == outcome_by_pillow(data, spec())


PACKED = rows(7, 6)
BROKEN = {
    "a row is missing": zlib.compress(PACKED[:-8]),
    "half a row is missing": zlib.compress(PACKED[:-4]),
    "rows too many": zlib.compress(PACKED + PACKED),
    "cut": zlib.compress(PACKED)[:-9],
    "checksum of the pixels is missing": zlib.compress(PACKED)[:-4],
    "checksum of the pixels is wrong": zlib.compress(PACKED)[:-1] + b"x",
    "unknown filter": zlib.compress(b"\5" + PACKED[1:]),
    "not compressed": PACKED,
    "compressed without a header": zlib.compress(PACKED)[2:],
    "with a dictionary that nobody has": b"\x78\xf9" + bytes(4) + zlib.compress(PACKED)[2:],
    "something follows": zlib.compress(PACKED) + b"something",
    "nothing": b"",
}


@pytest.mark.parametrize("compressed", BROKEN.values(), ids=BROKEN)
def test_broken_pixels_end_as_with_pillow(compressed):
    data = as_file([START, (b"IDAT", compressed), END])
    assert open_plain_png(data)
    assert outcome(data, spec()) == outcome_by_pillow(data, spec())


def test_broken_pixels_are_found_when_they_are_wanted():
    image = open_image(as_file([START, (b"IDAT", BROKEN["cut"]), END]), LIMIT)
    assert image.size == (7, 6)
    with pytest.raises(ImageError, match="broken or truncated"):
        decode_to_input(image, spec())


def test_too_many_pixels_are_counted_before_they_are_decoded():
    data = as_file([header(400, 300), (b"IDAT", BROKEN["cut"]), END])
    assert outcome(data, spec()) == "image is 400 x 300 = 120000 pixels, limit is 100000"


def mutated(dice: random.Random) -> bytes:
    """A plain file with one thing changed; half of the changes are covered up by a right checksum."""
    width, height, colour = dice.randint(1, 9), dice.randint(1, 7), dice.choice([*CHANNELS])
    chunks = plain(width, height, colour)
    if dice.random() < 0.3:
        chunks.insert(1, dice.choice(NOTED))
    match dice.randrange(7):
        case 0:
            return _with_a_bit_flipped(as_file(chunks), dice, len(SIGNATURE))
        case 1:
            data = as_file(chunks)
            return data[: dice.randrange(len(SIGNATURE), len(data))]
        case 2:
            chunks.insert(dice.randrange(len(chunks) + 1), dice.choice(chunks))
        case 3:
            dice.shuffle(chunks)
        case 4:
            chunks[0] = b"IHDR", _with_a_bit_flipped(chunks[0][1], dice)
        case 5:
            chunks[-2] = b"IDAT", _with_a_bit_flipped(chunks[-2][1], dice)
        case 6:
            packed = rows(width, height, colour)
            changed = _with_a_bit_flipped(packed, dice)[: dice.randrange(len(packed) * 2)]
            chunks[-2] = b"IDAT", zlib.compress(changed, dice.randrange(10))
    return as_file(chunks)


def _with_a_bit_flipped(data: bytes, dice: random.Random, start=0) -> bytes:
    changed = bytearray(data)
    changed[dice.randrange(start, len(data))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def test_thousands_of_mutations_end_as_with_pillow():
    dice, kinds = random.Random(0), Counter()
    for _ in range(5000):
        data, to = mutated(dice), spec(channels=dice.choice([1, 3]))
        found = outcome(data, to)
        assert found == outcome_by_pillow(data, to), data.hex()
        kinds["plain" if open_plain_png(data) else "not plain", "error" if isinstance(found, str) else "pixels"] += 1
    # None of the four ways is rare, or little would be known of it.
    assert len(kinds) == 4
    assert min(kinds.values()) > 300, kinds
