"""Image bytes in, the pixels both networks look at out. The one implementation: training and service call this.

Normalisation is not here: it lives in the exported graphs, which take uint8 pixels.
"""

import io
import math
import warnings
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from pydantic import BaseModel, ConfigDict, Field

Pixels = NDArray[np.uint8]

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
LONGEST_STRIP = 16
"""Images whose resized side is longer than so many crops are resized within the crop alone."""

_RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


class Preprocess(BaseModel):
    """How an image becomes the networks' input; names and meaning as in timm's data config."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input_size: tuple[Literal[1, 3], int, int] = Field(description="channels, height, width")
    mean: tuple[float, ...] = Field(description="per channel, of pixels in [0, 1]; applied in the graph")
    std: tuple[float, ...] = Field(description="per channel, of pixels in [0, 1]; applied in the graph")
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos"] = "bicubic"
    crop_pct: float = Field(1.0, gt=0, le=1, description="share of the resized image that the crop keeps")


class ImageError(ValueError):
    """The bytes are not an image that can be read."""


class TooManyPixels(ImageError):
    """The image says it is larger than allowed; nothing was decoded."""


def preprocess(data: bytes, spec: Preprocess, max_pixels: int) -> Pixels:
    """Pixels of one encoded image, (H, W, C) uint8.

    Raises:
        ImageError: the bytes are empty, of no known format, or broken.
        TooManyPixels: the header states more than `max_pixels`; checked before decoding.
    """
    return fit_to_input(decode_image(data, spec.input_size[0], max_pixels), spec)


def decode_image(data: bytes, channels: Literal[1, 3], max_pixels: int) -> Image.Image:
    """Upright image of mode L (1 channel) or RGB (3); the first frame, transparency composited on white.

    Raises: as `preprocess`.
    """
    if not data:
        raise ImageError("image is empty; send the bytes of one image")
    try:
        with warnings.catch_warnings():
            # Pillow warns from 89 MP on; the limit here is ours and stricter or meant.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=FORMATS)
            _check_pixels(image, max_pixels)
            image.load()
            return _flatten(_upright(image), "L" if channels == 1 else "RGB")
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise TooManyPixels(f"image is too large: {error}") from error
    except UnidentifiedImageError:
        raise ImageError(f"not an image in a known format; wanted one of {', '.join(FORMATS)}") from None
    # Pillow's decoders raise nearly anything on crafted bytes: struct.error, KeyError, SyntaxError, ...
    except Exception as error:
        raise ImageError(f"image is broken or truncated ({type(error).__name__}: {error})") from error


def fit_to_input(image: Image.Image, spec: Preprocess) -> Pixels:
    """Pixels after the shorter side is resized and the centre cropped (timm's `center` mode), (H, W, C) uint8."""
    _, height, width = spec.input_size
    scale = max(
        math.floor(height / spec.crop_pct) / image.height,
        math.floor(width / spec.crop_pct) / image.width,
    )
    resized = (max(width, round(image.width * scale)), max(height, round(image.height * scale)))
    left, top = round((resized[0] - width) / 2), round((resized[1] - height) / 2)
    if resized[0] > LONGEST_STRIP * width or resized[1] > LONGEST_STRIP * height:
        # Only what the crop keeps is resized: a strip of 1 x 50,000,000 pixels in whole would need gigabytes.
        x, y = image.width / resized[0], image.height / resized[1]
        box = (left * x, top * y, (left + width) * x, (top + height) * y)
        image = image.resize((width, height), _RESAMPLING[spec.interpolation], box)
    else:
        if resized != image.size:
            image = image.resize(resized, _RESAMPLING[spec.interpolation])
        image = image.crop((left, top, left + width, top + height))
    return np.asarray(image).reshape(height, width, -1)


def _check_pixels(image: Image.Image, max_pixels: int) -> None:
    pixels = image.width * image.height
    if pixels > max_pixels:
        raise TooManyPixels(f"image is {image.width} x {image.height} = {pixels} pixels, limit is {max_pixels}")


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    # A broken EXIF block does not make the pixels worth less.
    except Exception:  # noqa: BLE001
        return image


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
