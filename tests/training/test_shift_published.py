"""Our kinds against independent implementations of the same formula: scikit-image, scipy and Pillow.

Hendrycks and Dietterich's own code is built on those three; strengths differ, as theirs were chosen for 224 x 224.
"""

import io

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from scipy.ndimage import gaussian_filter
from skimage.exposure import adjust_gamma
from skimage.measure import block_reduce
from skimage.morphology import disk
from skimage.transform import rotate as rotate_by_skimage
from skimage.util import random_noise

from training.shift.transforms import NAMED


@pytest.fixture(scope="module")
def image():
    """A smooth grey picture, 28 x 28 on the grid of 8-bit pixels, without black or white."""
    coarse = np.random.default_rng(0).random((28, 28))
    smooth = gaussian_filter(coarse, 2.0)
    return (51 + 153 * (smooth - smooth.min()) / np.ptp(smooth)).round() / 255


def ours(kind, image, strength):
    torch.manual_seed(1)
    return NAMED[kind](torch.tensor(image, dtype=torch.float32)[None, None], strength)[0, 0].double().numpy()


def moments(noisy, image):
    difference = noisy - image
    return difference.mean(), difference.std()


@pytest.mark.parametrize(
    ("kind", "strength", "published"),
    [
        ("gaussian_noise", 0.5, {"mode": "gaussian", "var": 0.19**2}),
        ("speckle_noise", 0.5, {"mode": "speckle", "var": 0.7**2}),
        ("impulse_noise", 0.5, {"mode": "s&p", "amount": 0.12}),
    ],
)
def test_noise_has_the_moments_of_scikit_images(kind, strength, published):
    grey = np.full((400, 400), 0.5)
    theirs = random_noise(grey, rng=0, clip=False, **published)
    assert moments(ours(kind, grey, strength), grey) == pytest.approx(moments(theirs, grey), abs=0.003)


def test_shot_noise_has_the_moments_of_numpys_poisson_counts():
    grey, photons = np.full((400, 400), 0.5), 1 / 0.15
    theirs = np.random.default_rng(0).poisson(grey * photons) / photons
    assert moments(ours("shot_noise", grey, 0.5), grey) == pytest.approx(moments(theirs, grey), abs=0.003)


def test_gaussian_blur_is_scipys_inside_of_the_border(image):
    theirs = gaussian_filter(image, 1.4, truncate=2.9, mode="mirror")
    assert ours("gaussian_blur", image, 0.5) == pytest.approx(theirs, abs=0.004)


def test_defocus_blur_is_the_mean_over_a_disk(image):
    strength = (3 - 1.0) / (3.6 - 1.0)
    kernel = disk(3) / disk(3).sum()
    theirs = np.array(
        [[(image[y - 3 : y + 4, x - 3 : x + 4] * kernel).sum() for x in range(4, 24)] for y in range(4, 24)]
    )
    assert ours("defocus_blur", image, strength)[4:24, 4:24] == pytest.approx(theirs, abs=0.02)


def test_pixelate_is_block_means_repeated(image):
    strength = (0.65 - 0.25) / (0.65 - 0.21)
    theirs = np.kron(block_reduce(image, 4, np.mean), np.ones((4, 4)))
    assert ours("pixelate", image, strength) == pytest.approx(theirs, abs=1e-6)


def test_jpeg_is_pillows_file_of_that_quality(image):
    file = io.BytesIO()
    Image.fromarray((image * 255).round().astype(np.uint8)).save(file, "JPEG", quality=3)
    assert np.array_equal((ours("jpeg", image, 1.0) * 255).round(), np.asarray(Image.open(file)))


def test_contrast_is_the_distance_from_the_mean_scaled(image):
    assert ours("contrast", image, 0.5) == pytest.approx(image.mean() + 0.55 * (image - image.mean()), abs=1e-6)


def test_gamma_is_scikit_images_of_one_of_both_exponents(image):
    theirs = [adjust_gamma(image, exponent) for exponent in (2.7, 1 / 2.7)]
    assert min(np.abs(ours("gamma", image, 0.5) - each).max() for each in theirs) < 1e-5


def test_solarize_is_pillows(image):
    pixels = Image.fromarray((image * 255).round().astype(np.uint8))
    theirs = np.asarray(ImageOps.solarize(pixels, threshold=134))
    # Strength 0.5 solarizes from 0.525, grey level 133.9.
    assert np.array_equal((ours("solarize", image, 0.5) * 255).round(), theirs)


def test_rotate_is_scikit_images_either_way_round(image):
    inner = np.hypot(*(np.indices(image.shape) - 13.5)) < 11
    theirs = [rotate_by_skimage(image, degrees, order=1) for degrees in (34, -34)]
    assert min(np.abs(ours("rotate", image, 0.5) - each)[inner].max() for each in theirs) < 0.01


def test_motion_blur_keeps_the_mean_and_smooths_along_one_line_only():
    spike = np.zeros((28, 28))
    spike[14, 14] = 1.0
    blurred = ours("motion_blur", spike, 0.5)
    y, x = np.indices(blurred.shape) - 14
    spread = np.linalg.eigvalsh(np.cov(np.stack([y.ravel(), x.ravel()]), aweights=blurred.ravel()))
    assert blurred.sum() == pytest.approx(1.0, abs=1e-5)
    # A line of half length l has variance l^2 / 3, its logistic ends add (pi / 3)^2 / 3; across it is half a pixel.
    assert spread == pytest.approx([0.5**2, (3.15**2 + (np.pi / 3) ** 2) / 3], abs=0.4)
