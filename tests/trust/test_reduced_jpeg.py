"""JPEG files decoded at a half, a quarter or an eighth: nearly the same pixels, in the same places, where allowed."""

import io

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from benchmarks.serving.photographs import photographs
from trust.preprocess import (
    ImageError,
    Preprocess,
    ReducedJpeg,
    TooManyPixels,
    decode_to_input,
    open_image,
    preprocess,
)

LIMIT = 10_000_000
ORIENTATION = 0x0112
STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""What an upright image goes through to be stored with each orientation."""


def encode(image: Image.Image, file_format: str = "JPEG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def spec(height: int, width: int, channels=3, margin: float | None = 2.0, **options) -> Preprocess:
    allowed = ReducedJpeg(margin=margin) if margin else None
    size = (channels, height, width)
    return Preprocess(input_size=size, mean=(0.0,), std=(1.0,), reduced_jpeg=allowed, **options)


def both_ways(data: bytes, **options) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (224, 224, C) decoded in full and reduced, as numbers that can be subtracted."""
    return tuple(preprocess(data, spec(224, 224, margin=margin, **options), LIMIT).astype(int) for margin in (None, 2))


@pytest.mark.parametrize(
    ("side", "margin", "decoded"),
    [
        (39, 2, 39),
        (40, 2, 20),
        (79, 2, 40),
        (80, 2, 20),
        (159, 2, 40),
        (160, 2, 20),
        (999, 2, 125),
        (59, 3, 59),
        (61, 3, 31),
        (40, 2.01, 40),
    ],
)
def test_image_is_decoded_as_small_as_the_margin_allows(side, margin, decoded):
    image = open_image(encode(Image.new("RGB", (side, side))), LIMIT)
    decode_to_input(image, spec(10, 10, margin=margin))
    assert image.size == (decoded, decoded)


def test_margin_is_counted_in_pixels_of_the_resized_image_not_of_the_whole():
    # floor(10 / .5) = 20 pixels of which the crop keeps 10: a side of 79 has 3.95 for each, one of 80 has 4.
    for side, decoded in ((79, 79), (80, 40)):
        image = open_image(encode(Image.new("RGB", (4 * side, side))), LIMIT)
        decode_to_input(image, spec(10, 10, crop_pct=0.5))
        assert image.size == (4 * decoded, decoded)


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_photographs_look_the_same(interpolation, subsampling):
    for photograph in photographs(1281, 961):
        data = encode(photograph, quality=90, subsampling=subsampling)
        full, reduced = both_ways(data, interpolation=interpolation, crop_pct=0.95)
        difference = np.abs(full - reduced)
        assert 0 < difference.mean() < 1
        assert np.percentile(difference, 99) <= 4


@pytest.mark.parametrize("mode", ["L", "CMYK"])
@pytest.mark.parametrize("channels", [1, 3])
def test_grey_and_cmyk_look_the_same(mode, channels):
    full, reduced = both_ways(encode(photographs(1000, 1000)[0].convert(mode), quality=95), channels=channels)
    assert 0 < np.abs(full - reduced).mean() < 1


def test_progressive_file_looks_the_same():
    full, reduced = both_ways(encode(photographs(1000, 1000)[1], quality=90, progressive=True))
    assert 0 < np.abs(full - reduced).mean() < 1


def test_colour_becomes_grey_by_pillows_conversion():
    # libjpeg's own, from luma as it is stored, would differ by a level here and there.
    data = encode(photographs(1000, 1000)[0], quality=90)
    half = Image.open(io.BytesIO(data))
    half.draft(None, (500, 500))
    expected = np.asarray(half.convert("L").resize((250, 250), Image.Resampling.BICUBIC))
    assert np.array_equal(preprocess(data, spec(250, 250, channels=1), LIMIT)[..., 0], expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_edges_lie_where_they_lay(orientation):
    # White from column 500 of 1001 on, or from row 700 of 1503. At 62 x 93 there are 16.1 pixels for each: an eighth.
    across, down = (share_of_white(axis, orientation, spec(93, 62)) for axis in (1, 0))
    # Of the last pixel an eighth is of the image: taken for a whole one it would move edges by 7/8 of 8/16.1, by .43.
    assert 62 * across == pytest.approx(62 * 501 / 1001, abs=0.03)
    assert 93 * down == pytest.approx(93 * 803 / 1503, abs=0.03)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_edges_in_the_crop_lie_where_they_lay(orientation):
    # Resized to 64 x 96 (floor(56 / .875) = 64; 1503 * 64/1001 = 96.1), of which the crop keeps 4 to 60 and 20 to 76.
    across, down = (share_of_white(axis, orientation, spec(56, 56, crop_pct=0.875)) for axis in (1, 0))
    assert 56 * across == pytest.approx(60 - 500 * 64 / 1001, abs=0.03)
    assert 56 * down == pytest.approx(76 - 700 * 96 / 1503, abs=0.03)


def share_of_white(axis: int, orientation: int, to: Preprocess) -> float:
    """Of the input of an image 1001 x 1503 that is white from an edge on, stored with an orientation and reduced."""
    upright = np.zeros((1503, 1001), np.uint8)
    upright[(slice(700, None), slice(None)) if axis == 0 else (slice(None), slice(500, None))] = 255
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    stored = Image.fromarray(upright).convert("RGB")
    stored = stored.transpose(STORED[orientation]) if orientation in STORED else stored
    image = open_image(encode(stored, quality=100, exif=exif), LIMIT)
    pixels = decode_to_input(image, to)
    assert max(image.size) < 1001
    return float(pixels.mean()) / 255


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_other_formats_are_decoded_as_before(file_format):
    data = encode(photographs(1000, 1000)[2], file_format)
    full, reduced = both_ways(data)
    assert np.array_equal(full, reduced)


@pytest.mark.parametrize("size", [(224, 224), (895, 447), (447, 2000), (100, 90), (8, 8), (1, 3000)])
def test_small_jpeg_is_decoded_as_before(size):
    # Of 447 = 2 * 224 - 1 pixels a half would leave fewer than two for each.
    data = encode(photographs(1000, 1000)[3].resize(size), quality=90)
    full, reduced = both_ways(data)
    assert np.array_equal(full, reduced)


def test_truncated_file_is_refused():
    data = encode(photographs(1000, 1000)[0], quality=90)
    with pytest.raises(ImageError, match="broken or truncated"):
        preprocess(data[: len(data) // 2], spec(100, 100), LIMIT)


def test_pixels_of_the_full_size_count_against_the_limit():
    with pytest.raises(TooManyPixels, match=r"100 x 60 = 6000 pixels, limit is 5999"):
        preprocess(encode(Image.new("RGB", (100, 60))), spec(5, 5), 5999)


@pytest.mark.parametrize("margin", [1.99, float("nan"), float("inf")])
def test_margin_below_two_is_none(margin):
    with pytest.raises(ValidationError, match="margin"):
        ReducedJpeg(margin=margin)
