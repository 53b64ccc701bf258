"""Image bytes to pixels: each format, mode and orientation against pixels written out by hand."""

import io
import struct
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from trust.preprocess import (
    FORMATS,
    MOST_SCANS,
    ImageError,
    Preprocess,
    TooManyPixels,
    decode_image,
    decode_to_input,
    fit_to_input,
    open_image,
    preprocess,
)

GRID = np.array([[10, 200], [90, 255]], np.uint8)
LIMIT = 1_000_000


def encode(image: Image.Image, file_format: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def decode(data: bytes, channels=1) -> list:
    return np.asarray(decode_image(data, channels, LIMIT)).tolist()


def spec(height: int, width: int, channels=1, **options) -> Preprocess:
    return Preprocess(input_size=(channels, height, width), mean=(0.0,) * channels, std=(1.0,) * channels, **options)


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "GIF", "TIFF"])
def test_grey_pixels_come_back_as_they_were(file_format):
    assert decode(encode(Image.fromarray(GRID), file_format)) == GRID.tolist()


def test_webp_and_jpeg_come_back_nearly():
    # JPEG and lossy WebP know no exact pixels: a plain colour survives within two levels.
    for file_format in ("WEBP", "JPEG"):
        pixels = decode(encode(Image.new("RGB", (16, 16), (200, 100, 50)), file_format, quality=95), channels=3)
        assert np.abs(np.array(pixels) - [200, 100, 50]).max() <= 2


def test_colour_becomes_grey_by_luma():
    # ITU-R 601: .299 R + .587 G + .114 B = 59.8 + 58.7 + 5.7 = 124.2.
    assert decode(encode(Image.new("RGB", (1, 1), (200, 100, 50)))) == [[124]]


def test_grey_becomes_colour_by_repetition():
    assert decode(encode(Image.fromarray(GRID)), channels=3)[0] == [[10] * 3, [200] * 3]


@pytest.mark.parametrize(("alpha", "expected"), [(0, 255), (255, 40), (51, 212)])
def test_transparent_pixels_lie_on_white(alpha, expected):
    # 40 at alpha 51/255 = .2 on white: .2 * 40 + .8 * 255 = 212.
    assert decode(encode(Image.new("LA", (1, 1), (40, alpha)))) == [[expected]]
    assert decode(encode(Image.new("RGBA", (1, 1), (40, 40, 40, alpha))), channels=3) == [[[expected] * 3]]


def test_transparent_entry_of_a_palette_lies_on_white():
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    data = encode(image, transparency=1)
    assert decode(data, channels=3) == [[[255, 0, 0], [255, 255, 255]]]


def test_palette_becomes_its_colours():
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    for file_format in ("PNG", "GIF", "BMP", "TIFF"):
        assert decode(encode(image, file_format), channels=3) == [[[255, 0, 0], [0, 0, 255]]]


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_16_bits_are_scaled_not_clipped(file_format):
    # 65535 / 255 = 257 levels of 16 bits for one of 8: 257 k is k exactly, 257 k + 128 still rounds to k.
    values = np.array([[0, 257, 257 * 100 + 128], [257 * 100 + 129, 256, 65535]], np.uint16)
    assert decode(encode(Image.fromarray(values), file_format)) == [[0, 1, 100], [101, 1, 255]]


def test_floats_in_0_1_and_in_grey_levels_are_understood():
    unit = encode(Image.fromarray(np.array([[0.0, 0.2, 1.0]], np.float32)), "TIFF")
    levels = encode(Image.fromarray(np.array([[0.0, 51.0, 300.0]], np.float32)), "TIFF")
    assert decode(unit) == decode(levels) == [[0, 51, 255]]


def test_floats_that_are_no_numbers_are_black():
    values = np.array([[np.nan, np.inf, -np.inf, 1.0]], np.float32)
    assert decode(encode(Image.fromarray(values), "TIFF")) == [[0, 0, 0, 255]]


def test_cmyk_becomes_rgb():
    # R = 255 - C, and so on, where K is 0.
    assert decode(encode(Image.new("CMYK", (1, 1), (55, 155, 205, 0)), "TIFF"), channels=3) == [[[200, 100, 50]]]


def test_one_bit_becomes_black_and_white():
    assert decode(encode(Image.fromarray(np.array([[True, False]])))) == [[255, 0]]


def test_first_frame_of_an_animation_counts():
    frames = [Image.new("L", (1, 1), level) for level in (70, 140, 210)]
    for file_format in ("GIF", "TIFF", "PNG"):
        data = encode(frames[0], file_format, save_all=True, append_images=frames[1:])
        assert decode(data) == [[70]]
    data = encode(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    assert decode(data) == [[70]]


def test_frames_after_the_first_are_not_decoded():
    # Cut within the second frame of two: whoever decoded it would find out.
    frames = [Image.effect_noise((40, 40), 80) for _ in range(2)]
    for file_format in ("GIF", "PNG"):
        alone, data = (encode(frames[0], file_format, save_all=True, append_images=rest) for rest in ([], frames[1:]))
        assert decode(data[: len(alone) + 200]) == decode(alone)


@pytest.mark.parametrize("file_format", FORMATS)
def test_truncated_image_is_refused(file_format):
    data = encode(Image.effect_noise((64, 64), 80), file_format)
    for kept in (0.3, 0.6, 0.9):
        with pytest.raises(ImageError):
            decode_image(data[: int(len(data) * kept)], 1, LIMIT)


# How a stored image is turned to be upright, by EXIF orientation: stored pixels -> upright pixels.
UPRIGHT = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(np.transpose(a), 2),
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "JPEG", "WEBP"])
def test_exif_orientation_is_honoured(file_format, orientation):
    # Blocks of 16 pixels: JPEG keeps their middles.
    stored = np.kron(np.array([[0, 60, 120], [255, 200, 160]], np.uint8), np.ones((16, 16), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(stored).convert("RGB")
    upright = np.array(decode(encode(image, file_format, exif=exif)))
    middles = upright[8::16, 8::16]
    assert np.abs(middles - UPRIGHT[orientation](stored)[8::16, 8::16].astype(int)).max() <= 3


def test_unknown_orientation_is_none():
    exif = Image.Exif()
    exif[0x0112] = 99
    assert decode(encode(Image.fromarray(GRID), exif=exif)) == GRID.tolist()


def test_orientation_counts_where_the_rest_of_the_exif_block_is_broken():
    # TIFF directory of two entries: the maker's name under a tag that should hold a number, and the orientation.
    entries = b"\x01\x01\x02\x00\x04\x00\x00\x00abc\x00" + b"\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00"
    exif = b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x02\x00" + entries + b"\x00\x00\x00\x00"
    assert decode(encode(Image.fromarray(GRID), exif=exif)) == np.rot90(GRID, -1).tolist()


def test_wide_image_loses_both_ends():
    image = Image.fromarray(np.arange(8, dtype=np.uint8).reshape(2, 4) * 30)
    # The shorter side is 2 already; columns 1 and 2 are the middle of four.
    assert fit_to_input(image, spec(2, 2))[..., 0].tolist() == [[30, 60], [150, 180]]


def test_crop_pct_resizes_to_more_than_the_crop():
    # floor(2 / .5) = 4: the image stays 4 x 4 and the middle 2 x 2 is cut out.
    image = Image.fromarray(np.arange(16, dtype=np.uint8).reshape(4, 4))
    assert fit_to_input(image, spec(2, 2, crop_pct=0.5))[..., 0].tolist() == [[5, 6], [9, 10]]


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("size", [(640, 480), (333, 457), (100, 90), (224, 250), (1280, 225)])
def test_pixels_are_those_of_resizing_the_whole_and_cropping_the_middle(size, interpolation):
    # As torchvision does it: Resize(235), CenterCrop(224); floor(224 / .95) = 235. Noise is the worst that can come.
    image = Image.effect_noise(size, 80)
    longer = round(max(size) * 235 / min(size))
    whole = image.resize((longer, 235) if size[0] > size[1] else (235, longer), Image.Resampling[interpolation.upper()])
    left, top = round((whole.width - 224) / 2), round((whole.height - 224) / 2)
    cropped = np.asarray(whole.crop((left, top, left + 224, top + 224)), int)
    pixels = fit_to_input(image, spec(224, 224, interpolation=interpolation, crop_pct=0.95))[..., 0]
    # A corner rounded in its seventh digit makes the next level of one pixel in hundreds.
    difference = np.abs(pixels - cropped)
    assert difference.max() <= 1
    assert np.mean(difference > 0) < 0.02


def test_shrinking_by_four_weighs_by_the_widened_triangle():
    # Triangle of half width 4 around 2: .625 .875 .875 .625 of the own block, .375 .125 of the next: 6/7 and 1/7.
    image = Image.fromarray(np.kron(GRID, np.ones((4, 4), np.uint8)))
    weights = np.array([[6, 1], [1, 6]]) / 7
    pixels = fit_to_input(image, spec(2, 2, interpolation="bilinear"))[..., 0]
    assert np.abs(pixels - weights @ GRID @ weights).max() <= 1


@pytest.mark.parametrize("size", [(1, 3000), (3000, 1), (17, 60), (2, 500)])
def test_strip_is_cropped_around_its_middle(size):
    # A ramp along the strip: the middle has the middle's level.
    width, height = size
    ramp = np.linspace(0, 250, max(size)).astype(np.uint8)
    image = Image.fromarray(np.broadcast_to(ramp if width > height else ramp[:, None], (height, width)).copy())
    pixels = fit_to_input(image, spec(8, 8))
    assert pixels.shape == (8, 8, 1)
    assert abs(pixels.mean() - 125) <= 2


def test_pixels_have_the_shape_of_the_input():
    data = encode(Image.effect_noise((31, 17), 50))
    assert preprocess(data, spec(5, 7, channels=3), LIMIT).shape == (5, 7, 3)
    assert preprocess(data, spec(5, 7), LIMIT).dtype == np.uint8


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"hello", "JPEG, PNG, WEBP, BMP, GIF, TIFF"),
        (encode(Image.effect_noise((64, 64), 50))[:200], "broken or truncated"),
    ],
)
def test_what_is_no_image_is_refused(data, words):
    with pytest.raises(ImageError, match=words):
        decode_image(data, 1, LIMIT)


def test_formats_that_nobody_asked_for_are_refused():
    with pytest.raises(ImageError, match="not an image in a known format"):
        decode_image(encode(Image.fromarray(GRID), "PPM"), 1, LIMIT)


def test_too_many_pixels_are_refused_before_decoding():
    # Half of the file is missing, which only decoding would find out.
    data = encode(Image.effect_noise((100, 60), 50))
    with pytest.raises(TooManyPixels, match=r"100 x 60 = 6000 pixels, limit is 5999"):
        decode_image(data[: len(data) // 2], 1, 5999)


def test_header_is_read_without_decoding():
    # Half of the file is missing: the size is known all the same, the pixels are not.
    data = encode(Image.effect_noise((100, 60), 50))
    image = open_image(data[: len(data) // 2], LIMIT)
    assert image.size == (100, 60)
    with pytest.raises(ImageError, match="broken or truncated"):
        decode_to_input(image, spec(5, 7))


def test_opened_and_decoded_is_preprocessed():
    data = encode(Image.effect_noise((31, 17), 50))
    assert decode_to_input(open_image(data, LIMIT), spec(5, 7)).tolist() == preprocess(data, spec(5, 7), LIMIT).tolist()


def test_small_image_in_a_huge_tile_is_refused():
    # Width and height 4, 8 bits, not compressed, black is zero; then the sides of the tile, where it lies, its bytes.
    tags = {256: 4, 257: 4, 258: 8, 259: 1, 262: 1, 322: 20_000, 323: 20_000, 324: 8, 325: 16}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    data = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    with pytest.raises(TooManyPixels, match="tiles of 20000 x 20000"):
        open_image(data, LIMIT)


def test_jpeg_with_ever_more_scans_is_refused():
    whole = encode(Image.effect_noise((32, 32), 50), "JPEG", progressive=True)
    end = b"\xff\xd9"
    data, last_scan = whole.removesuffix(end), whole[whole.rindex(b"\xff\xda") :].removesuffix(end)
    further = MOST_SCANS - whole.count(b"\xff\xda")
    assert decode_image(data + further * last_scan + end, 1, LIMIT).size == (32, 32)
    with pytest.raises(ImageError, match=rf"{MOST_SCANS + 1} scans, limit is {MOST_SCANS}; save it as a baseline JPEG"):
        open_image(data + (further + 1) * last_scan + end, LIMIT)


def test_film_behind_a_photograph_may_look_like_scans_now_and_then():
    photograph = encode(Image.effect_noise((32, 32), 50), "JPEG")
    film = np.random.default_rng(0).bytes(10_000_000)
    assert film.count(b"\xff\xda") > 100
    assert decode(photograph + film) == decode(photograph)


def test_no_decoder_but_the_six_is_loaded():
    program = """
import sys
from trust.preprocess import decode_image
for data in map(bytes.fromhex, sys.argv[1:]):
    decode_image(data, 3, 100)
print(*sorted(name for name in sys.modules if name.startswith("PIL.") and name.endswith("ImagePlugin")))
"""
    images = [encode(Image.new("RGB", (2, 2)), kind).hex() for kind in ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")]
    found = subprocess.run([sys.executable, "-c", program, *images], capture_output=True, text=True, check=True).stdout
    kinds = ("Bmp", "Gif", "Jpeg", "Png", "Tiff", "WebP")
    assert found.split() == [f"PIL.{kind}ImagePlugin" for kind in kinds]


def test_too_little_memory_is_not_the_images_fault():
    # 64 megapixels are 64 MB, where the process may take 32 MB more than it has.
    program = """
import io, resource
from PIL import Image
from trust.preprocess import decode_image
file = io.BytesIO()
Image.new("L", (8000, 8000)).save(file, "PNG")
taken = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + 32_000_000, -1))
try:
    decode_image(file.getvalue(), 1, 100_000_000)
except MemoryError:
    print("no memory")
"""
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "no memory\n"
