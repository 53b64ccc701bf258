"""Images of which no answer is right, in the shape of a classifier's input: what it is asked about by mistake.

Handwritten digits (scikit-learn), photographs (scikit-image), noise, and the classifier's own test images inverted.
All are at hand without a download.
"""

from collections.abc import Callable

import numpy as np
import skimage.data
from PIL import Image
from sklearn.datasets import load_digits

from trust.preprocess import Pixels

OTHER_DATA = ("digits", "photos", "uniform noise", "gaussian noise", "inverted")
PHOTOS = ("astronaut", "camera", "chelsea", "coffee", "rocket", "brick", "grass", "gravel")


def other_data(kind: str, test: Pixels, count: int, seed: int) -> Pixels:
    """Images of one kind, (count, H, W, C) uint8.

    Args:
        kind: one of OTHER_DATA.
        test: (N, H, W, C) uint8, the classifier's own images: they give the shape, and are what is inverted.
        count: how many.
        seed: of what is drawn.

    Raises:
        ValueError: unknown kind.
    """
    rng = np.random.default_rng(seed)
    height, width, channels = test.shape[1:]
    made: dict[str, Callable[[], Pixels]] = {
        "digits": lambda: _digits(count, (width, height), channels, rng),
        "photos": lambda: _photos(count, (width, height), channels, rng),
        "uniform noise": lambda: rng.integers(0, 256, (count, height, width, channels), np.uint8),
        "gaussian noise": lambda: rng.normal(127.5, 64, (count, height, width, channels)).clip(0, 255).astype(np.uint8),
        "inverted": lambda: 255 - test[rng.choice(len(test), count, replace=count > len(test))],
    }
    if kind not in made:
        raise ValueError(f"other data {kind!r} is unknown; wanted one of {', '.join(made)}")
    return made[kind]()


def _digits(count: int, size: tuple[int, int], channels: int, rng: np.random.Generator) -> Pixels:
    """Digits of 8 x 8 with 17 grey levels, enlarged."""
    digits = load_digits().images
    drawn = digits[rng.choice(len(digits), count, replace=count > len(digits))]
    enlarged = [
        Image.fromarray((255 / 16 * digit).astype(np.uint8)).resize(size, Image.Resampling.BICUBIC) for digit in drawn
    ]
    return np.stack([_in_channels(image, channels) for image in enlarged])


def _photos(count: int, size: tuple[int, int], channels: int, rng: np.random.Generator) -> Pixels:
    """Squares at random places of photographs, from a sixteenth of the shorter side to all of it."""
    photos = [Image.fromarray(getattr(skimage.data, name)()) for name in PHOTOS]

    def crop() -> Image.Image:
        photo = photos[rng.integers(len(photos))]
        side = round(min(photo.size) * 2 ** rng.uniform(-4, 0))
        left, top = (int(rng.integers(0, length - side + 1)) for length in photo.size)
        return photo.resize(size, Image.Resampling.BILINEAR, (left, top, left + side, top + side))

    return np.stack([_in_channels(crop(), channels) for _ in range(count)])


def _in_channels(image: Image.Image, channels: int) -> Pixels:
    mode = {1: "L", 3: "RGB"}[channels]
    return np.asarray(image.convert(mode)).reshape(*reversed(image.size), channels)
