"""Other data comes in the shape asked for, is what it says, and is the same each time."""

import numpy as np
import pytest
import skimage.data
from sklearn.datasets import load_digits

from training.shift.other_data import OTHER_DATA, PHOTOS, other_data


def own_images(shape):
    return np.random.default_rng(0).integers(0, 256, (30, *shape), np.uint8)


@pytest.mark.parametrize("kind", OTHER_DATA)
@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 24, 3)], ids=["grey", "colour"])
def test_images_have_the_shape_of_the_classifiers_input_and_follow_from_the_seed(kind, shape):
    images, again, others = (other_data(kind, own_images(shape), 20, seed) for seed in (1, 1, 2))
    assert images.shape == (20, *shape)
    assert images.dtype == np.uint8
    assert np.array_equal(images, again)
    assert not np.array_equal(images, others)


def test_digits_at_their_own_size_are_scikit_learns():
    known = {digit.tobytes() for digit in (255 / 16 * load_digits().images).astype(np.uint8)}
    assert all(image.tobytes() in known for image in other_data("digits", own_images((8, 8, 1)), 10, 0))


def test_inverted_images_are_test_images_turned_over():
    images = own_images((4, 4, 1))
    known = {image.tobytes() for image in images}
    assert {(255 - image).tobytes() for image in other_data("inverted", images, 30, 0)} == known


def test_noise_has_the_moments_of_its_distribution():
    uniform, gaussian = (
        other_data(f"{kind} noise", own_images((28, 28, 1)), 200, 0) for kind in ("uniform", "gaussian")
    )
    # Of 0 to 255 the standard deviation is sqrt((256^2 - 1) / 12); 5 % of the normal's mass is clipped.
    assert (uniform.mean(), uniform.std()) == pytest.approx((127.5, 73.9), abs=1)
    assert (gaussian.mean(), gaussian.std()) == pytest.approx((127, 62), abs=2)


@pytest.mark.parametrize("name", PHOTOS)
def test_photos_are_on_this_machine(name):
    assert getattr(skimage.data, name)().shape[0] > 200


def test_unknown_kind_names_the_known_ones():
    with pytest.raises(ValueError, match="other data 'cars' is unknown; wanted one of digits, photos"):
        other_data("cars", own_images((8, 8, 1)), 1, 0)
