"""From the bytes of one image to the networks' pixels."""

from service.errors import ImageHasTooManyPixels, ImageUnreadable, Overloaded
from trust.preprocess import ImageError, Pixels, Preprocess, TooManyPixels, decode_to_input, open_image

SMALL_BYTES, SMALL_PIXELS = 16_384, 65_536
"""What is no larger is decoded in some tens of microseconds: less than handing it to another thread and back."""
MODERATE_BYTES, MODERATE_PIXELS = 131_072, 327_680
"""What is no larger, such as 640 x 512, is decoded in some milliseconds: another thread is worth waking for that only
where the one that runs the networks has other images."""


class Decoder:
    """Decodes for one bundle; any thread may call it.

    Args:
        spec: of the bundle's preprocessing.
        max_pixels: of the largest image.
    """

    def __init__(self, spec: Preprocess, max_pixels: int) -> None:
        self._spec, self._max_pixels = spec, max_pixels

    def decode(self, data: bytes) -> Pixels:
        """Pixels of one image, (H, W, C) uint8.

        Raises:
            ImageUnreadable, ImageHasTooManyPixels: it has none.
            Overloaded: there is not enough memory to decode it now.
        """
        pixels = self._decode(data, self._max_pixels)
        assert pixels is not None, "an image with too many pixels is not opened"
        return pixels

    def decode_at_once(self, data: bytes) -> Pixels | None:
        """As `decode`, but None where an image of so few bytes has so many pixels that it is not decoded at once."""
        return self._decode(data, SMALL_PIXELS if len(data) <= SMALL_BYTES else MODERATE_PIXELS)

    def _decode(self, data: bytes, most: int) -> Pixels | None:
        try:
            image = open_image(data, self._max_pixels)
            width, height = image.size
            return decode_to_input(image, self._spec) if width * height <= most else None
        except MemoryError:
            raise Overloaded("there is not enough memory for this image now; try again shortly") from None
        except TooManyPixels as error:
            raise ImageHasTooManyPixels(f"{error}; resize it or raise TRUSTSERVE_MAX_IMAGE_PIXELS") from error
        except ImageError as error:
            raise ImageUnreadable(str(error)) from error


def takes_long(data: bytes, alone: bool) -> bool:
    """Whether decoding is likely to take so long that another thread should do it.

    Args:
        data: of an encoded image.
        alone: no other image would be held up meanwhile.
    """
    return len(data) > (MODERATE_BYTES if alone else SMALL_BYTES)
