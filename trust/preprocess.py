"""Image bytes in, the pixels both networks look at out. The one implementation: training and service call this.

Normalisation is not here: it lives in the exported graphs, which take uint8 pixels.
"""

import io
import math
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, TiffImagePlugin
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile
from pydantic import BaseModel, ConfigDict, Field

from trust.plain_png import PlainPng, open_plain_png

Pixels = NDArray[np.uint8]
Opened = ImageFile | PlainPng
"""Of either, `size` is width and height."""

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
LONGEST_STRIP = 16
"""Of an image this many times as high as wide, rows are left out first: 50,000,000 of them would need gigabytes."""
MOST_SCANS = 500
"""Of a JPEG file; a progressive one has about ten. A scan is a pass over the whole image and may take 14 bytes: ten
megabytes of them would take half an hour. What follows the image in its file, such as a film, looks like a scan now and
then: once in 65,536 bytes."""
_START_OF_SCAN = b"\xff\xda"

_RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


# By hand, not by `Image.open`, which loads every decoder that Pillow has and asks them in turn.
_DECODERS: dict[bytes, type[ImageFile]] = {
    b"\xff\xd8\xff": JpegImageFile,
    b"\x89PNG\r\n\x1a\n": PngImageFile,
    b"RIFF": WebPImageFile,
    b"BM": BmpImageFile,
    b"GIF87a": GifImageFile,
    b"GIF89a": GifImageFile,
    **dict.fromkeys(TiffImagePlugin.PREFIXES, TiffImagePlugin.TiffImageFile),
}

_ORIENTED = {"exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"}
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = {5, 6, 7, 8}
_FROM_RIGHT, _FROM_BOTTOM = {2, 3, 6, 7}, {3, 4, 7, 8}
"""Orientations whose left edge is stored as the right or the lower one, and whose upper edge is."""

_REDUCTIONS = (8, 4, 2)
"""By which libjpeg divides a side as it decodes, computing that much less of each block's cosine transform."""


class ReducedJpeg(BaseModel):
    """That JPEG files may be decoded at a reduced size, and within what tolerance the answers were seen to stay."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    margin: float = Field(2.0, ge=2, description="least pixels decoded, across and down, for each pixel of the input")
    trust_tolerance: float = Field(0.01, ge=0, le=1, description="which the mean difference of trust did not exceed")
    label_tolerance: float = Field(0.005, ge=0, le=1, description="which the share of changed labels did not exceed")


class Preprocess(BaseModel):
    """How an image becomes the networks' input; names and meaning as in timm's data config, but for the last."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input_size: tuple[Literal[1, 3], int, int] = Field(description="channels, height, width")
    mean: tuple[float, ...] = Field(description="per channel, of pixels in [0, 1]; applied in the graph")
    std: tuple[float, ...] = Field(description="per channel, of pixels in [0, 1]; applied in the graph")
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos"] = "bicubic"
    crop_pct: float = Field(1.0, gt=0, le=1, description="share of the resized image that the crop keeps")
    reduced_jpeg: ReducedJpeg | None = Field(None, description="absent: JPEG files are decoded at their full size")


class ImageError(ValueError):
    """The bytes are not an image that can be read."""


class TooManyPixels(ImageError):
    """The image says it is larger than allowed; nothing was decoded."""


def preprocess(data: bytes, spec: Preprocess, max_pixels: int) -> Pixels:
    """Pixels of one encoded image, (H, W, C) uint8.

    Raises:
        ImageError: the bytes are empty, of no known format, or broken.
        TooManyPixels: the header states more than `max_pixels`; checked before decoding.
        MemoryError: there is not enough of it for an image of this size, which may be a good one.
    """
    return decode_to_input(open_image(data, max_pixels), spec)


def open_image(data: bytes, max_pixels: int) -> Opened:
    """The image as its header describes it; its pixels are decoded when they are wanted.

    Raises: as `preprocess`, but for what only decoding finds out.
    """
    if not data:
        raise ImageError("image is empty; send the bytes of one image")
    decoder = _decoder_of(data)
    try:
        image: Opened = open_plain_png(data) or decoder(io.BytesIO(data))
        _check_pixels(image, max_pixels)
        if isinstance(image, JpegImageFile):
            _check_scans(data)
        return image
    except (ImageError, MemoryError):
        raise
    # Pillow's decoders raise nearly anything on crafted bytes: struct.error, KeyError, SyntaxError, ...
    except Exception as error:
        raise _as_image_error(error) from error


def decode_to_input(image: Opened, spec: Preprocess) -> Pixels:
    """Pixels of an opened image, (H, W, C) uint8; decoding happens here.

    Raises:
        ImageError: the bytes after the header are broken.
    """
    kept = _reduce(image, spec)
    decoded = _decode(image, spec.input_size[0])
    return _resize_part(decoded, kept, spec) if kept else fit_to_input(decoded, spec)


def decode_image(data: bytes, channels: Literal[1, 3], max_pixels: int) -> Image.Image:
    """Upright image of mode L (1 channel) or RGB (3); the first frame, transparency composited on white.

    Raises: as `preprocess`.
    """
    return _decode(open_image(data, max_pixels), channels)


def fit_to_input(image: Image.Image, spec: Preprocess) -> Pixels:
    """Pixels after the shorter side is resized and the centre cropped (timm's `center` mode), (H, W, C) uint8."""
    _, height, width = spec.input_size
    return _resize_part(image, _kept(image.size, (width, height), spec.crop_pct), spec)


class _Box(NamedTuple):
    """Part of an image, from its upper left corner."""

    left: float
    top: float
    right: float
    bottom: float


def _resize_part(image: Image.Image, kept: _Box | None, spec: Preprocess) -> Pixels:
    """The part of an image that becomes the input, resized; None: all of it, as it is."""
    _, height, width = spec.input_size
    if kept:
        resampling = _RESAMPLING[spec.interpolation]
        if image.height <= LONGEST_STRIP * image.width:
            # Columns first, as Pillow does with a whole image. Of a part it takes any order, and rounds otherwise.
            image = image.resize((width, image.height), resampling, (kept.left, 0, kept.right, image.height))
            kept = kept._replace(left=0, right=width)
        image = image.resize((width, height), resampling, kept)
    return np.frombuffer(image.tobytes(), np.uint8).reshape(height, width, -1)


# Images of one origin have few sizes.
@lru_cache(maxsize=1024)
def _kept(size: tuple[int, int], wanted: tuple[int, int], crop_pct: float) -> _Box | None:
    """The part of an image that becomes the input; None: all of it, as it is.

    What the crop would take away is not resized before: a third of the work on a photograph.
    """
    width, height = wanted
    scale = max(math.floor(height / crop_pct) / size[1], math.floor(width / crop_pct) / size[0])
    resized = (max(width, round(size[0] * scale)), max(height, round(size[1] * scale)))
    if size == resized == wanted:
        return None
    left, top = round((resized[0] - width) / 2), round((resized[1] - height) / 2)
    x, y = size[0] / resized[0], size[1] / resized[1]
    return _Box(left * x, top * y, (left + width) * x, (top + height) * y)


def _reduce(image: Opened, spec: Preprocess) -> _Box | None:
    """Has a JPEG file decoded as small as the margin allows; the part of what comes then that becomes the input.

    None: it is decoded as it is, like everything that is not a JPEG file or not large enough.
    """
    if spec.reduced_jpeg is None or not isinstance(image, JpegImageFile):
        return None
    _, height, width = spec.input_size
    stored, orientation = image.size, _orientation(image)
    size = stored[::-1] if orientation in _SIDEWAYS else stored
    kept = _kept(size, (width, height), spec.crop_pct)
    if kept is None:
        return None
    most = min((kept.right - kept.left) / width, (kept.bottom - kept.top) / height) / spec.reduced_jpeg.margin
    by = next((each for each in _REDUCTIONS if each <= most), 1)
    if by == 1:
        return None
    # Without a mode: converted to grey by libjpeg, pixels would be others than Pillow's.
    image.draft(None, (stored[0] // by, stored[1] // by))
    # Sides are rounded up: of the last pixel only a part is of the image, and an image that is turned begins with it.
    x = -size[0] % by if orientation in _FROM_RIGHT else 0
    y = -size[1] % by if orientation in _FROM_BOTTOM else 0
    return _Box((kept.left + x) / by, (kept.top + y) / by, (kept.right + x) / by, (kept.bottom + y) / by)


def _decoder_of(data: bytes) -> type[ImageFile]:
    for magic, decoder in _DECODERS.items():
        if data.startswith(magic) and (decoder is not WebPImageFile or data[8:12] == b"WEBP"):
            return decoder
    raise ImageError(f"not an image in a known format; wanted one of {', '.join(FORMATS)}")


def _check_pixels(image: Opened, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise TooManyPixels(f"image is {width} x {height} = {width * height} pixels, limit is {max_pixels}")
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        # A small image may say that it lies in a tile of gigabytes, which is decoded whole.
        across = image.tag_v2.get(TiffImagePlugin.TILEWIDTH, 0)
        down = image.tag_v2.get(TiffImagePlugin.TILELENGTH, 0)
        if across * down > max_pixels:
            raise TooManyPixels(f"image lies in tiles of {across} x {down} pixels, limit is {max_pixels}")


def _check_scans(data: bytes) -> None:
    if (scans := data.count(_START_OF_SCAN)) > MOST_SCANS:
        raise ImageError(f"image has {scans} scans, limit is {MOST_SCANS}; save it as a baseline JPEG file")


def _decode(image: Opened, channels: Literal[1, 3]) -> Image.Image:
    try:
        return _flatten(_load(image), "L" if channels == 1 else "RGB")
    except MemoryError:
        raise
    except Exception as error:
        raise _as_image_error(error) from error


def _load(image: Opened) -> Image.Image:
    if isinstance(image, PlainPng):
        return image.decode() or _load(PngImageFile(io.BytesIO(image.data)))
    image.load()
    return _upright(image)


def _as_image_error(error: Exception) -> ImageError:
    if isinstance(error, Image.DecompressionBombError):
        return TooManyPixels(f"image is too large: {error}")
    return ImageError(f"image is broken or truncated ({type(error).__name__}: {error})")


def _upright(image: ImageFile) -> Image.Image:
    turn = _UPRIGHT.get(_orientation(image))
    return image if turn is None else image.transpose(turn)


def _orientation(image: ImageFile) -> int:
    """As EXIF counts it, 1 to 8; 1, upright, where nothing says otherwise."""
    # Pillow turns TIFF itself. Without EXIF or XMP, to look for an orientation costs more than to decode a thumbnail.
    if _ORIENTED.isdisjoint(image.info):
        return 1
    try:
        found = image.getexif().get(ExifTags.Base.Orientation, 1)
        return int(found) if found in _UPRIGHT else 1
    # A broken EXIF block does not make the pixels worth less.
    except Exception:  # noqa: BLE001
        return 1


def _flatten(image: Image.Image, mode: Literal["L", "RGB"]) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = _to_8_bit(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image if image.mode == mode else image.convert(mode)


def _to_8_bit(image: Image.Image) -> Image.Image:
    """Grey image of 16 or 32 bits a pixel as 8 bits: Pillow's own conversion would clip at 255."""
    values = np.array(image, np.float32)
    np.nan_to_num(values, copy=False, posinf=0.0, neginf=0.0)
    # Mode I;16 says its range; 32-bit integers come from 16-bit files; floats are in [0, 1] or in 8-bit units.
    peak = 1.0 if image.mode == "F" and values.max() <= 1 else 255.0 if image.mode == "F" else 65535.0
    # In place: at 50 megapixels each copy is 200 MB.
    values *= 255 / peak
    np.clip(np.rint(values, out=values), 0, 255, out=values)
    return Image.fromarray(values.astype(np.uint8))
