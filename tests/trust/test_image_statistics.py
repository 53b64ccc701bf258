"""Image statistics worked out by hand, and distances that scipy makes of them."""

import math

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.spatial.distance import mahalanobis

from trust.image_statistics import CleanStatistics, image_novelty, image_statistics, log_statistics

NAMES = ("contrast", "below", "right", "texture", "dark", "bright", "darkest", "brightest", "mean")


def grey(rows):
    return np.asarray(rows, np.uint8)[None, :, :, None]


def described(pixels):
    return dict(zip(NAMES, image_statistics(pixels)[0].tolist(), strict=True))


def clean_of(seed=0, statistics=9):
    """Made-up numbers of clean images."""
    draw = np.random.default_rng(seed)
    centre, whitening = draw.normal(size=statistics), draw.normal(size=(statistics, statistics))
    return CleanStatistics(centre=centre.tolist(), whitening=whitening.tolist())


def test_white_image_is_bright_and_nothing_else():
    assert described(grey(np.full((28, 28), 255))) == dict.fromkeys(NAMES, 0.0) | dict.fromkeys(
        ("bright", "darkest", "brightest", "mean"), 1.0
    )


def test_chequered_image_is_all_edges():
    # 5 x 5, of which the first 4 x 4 are looked at: half of them black, half white.
    assert described(grey(np.indices((5, 5)).sum(axis=0) % 2 * 255)) == {
        "contrast": 0.5,
        "below": 1.0,
        "right": 1.0,
        "texture": 2.0,
        "dark": 0.5,
        "bright": 0.5,
        "darkest": 0.0,
        "brightest": 1.0,
        "mean": 0.5,
    }


def test_edge_between_rows_is_no_texture():
    # Three black rows and two white ones: of the 4 x 4 looked at a quarter has an edge below it, and is white.
    found = described(grey(np.repeat([0, 0, 0, 255, 255], 5).reshape(5, 5)))
    assert (found["below"], found["right"], found["texture"]) == (0.25, 0.0, 0.0)
    assert (found["mean"], found["dark"], found["bright"]) == (0.25, 0.75, 0.25)
    assert found["contrast"] == pytest.approx(math.sqrt(0.25 * 0.75))


def test_white_dot_counts_wherever_it_is_a_neighbour():
    image = np.zeros((5, 5))
    image[2, 2] = 255
    found = described(grey(image))
    # Of 16 positions it is below one and here once; the same to the right; once more across one, hence four in texture.
    assert (found["below"], found["right"], found["texture"]) == (2 / 16, 2 / 16, 4 / 16)


def test_nearly_black_and_nearly_white_end_where_they_say():
    found = described(grey([[0, 5, 0], [6, 249, 0], [0, 0, 0]]))
    assert (found["dark"], found["bright"]) == (0.5, 0.0)
    assert described(grey([[250, 255, 0], [255, 249, 0], [0, 0, 0]]))["bright"] == 0.75


def test_each_channel_has_its_mean():
    pixels = np.empty((1, 8, 8, 3), np.uint8)
    pixels[...] = (255, 51, 0)
    found = image_statistics(pixels)[0]
    assert found[8:].tolist() == pytest.approx([1.0, 0.2, 0.0], abs=1e-7)
    assert found[1:4].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("side", [33, 34, 224])
def test_large_image_is_looked_at_in_at_most_32_rows_with_their_true_neighbours(side):
    # Rows alternate: whatever k is, the row below is the opposite one, and every k-th is not.
    rows = np.arange(side) % 2 * 255
    assert described(grey(np.repeat(rows, side).reshape(side, side)))["below"] == 1.0
    # What lies in the corner of all blocks is seen; what lies between them is not.
    step = math.ceil((side - 1) / 32)
    dots = np.zeros((side, side))
    dots[::step, ::step] = 255
    assert described(grey(dots))["mean"] == 1.0
    assert math.ceil((side - 1) / step) <= 32


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 2)])
def test_smallest_images_have_finite_novelty(shape):
    pixels = np.full((1, *shape, 1), 7, np.uint8)
    assert described(pixels)["below"] == 0.0
    assert np.isfinite(image_novelty(clean_of(), pixels)).all()


def test_images_of_one_batch_do_not_touch_each_other():
    images = np.random.default_rng(0).integers(0, 256, (5, 40, 30, 3), np.uint8)
    one_by_one = np.concatenate([image_statistics(image[None]) for image in images])
    np.testing.assert_allclose(image_statistics(images), one_by_one, atol=1e-6)


def test_statistics_of_noise_are_numpys():
    image = np.random.default_rng(1).integers(0, 256, (20, 20)).astype(float) / 255
    here, below, right, across = image[:-1, :-1], image[1:, :-1], image[:-1, 1:], image[1:, 1:]
    wanted = [here.std(), abs(below - here).mean(), abs(right - here).mean(), abs(across - right - below + here).mean()]
    wanted += [(here <= 5 / 255).mean(), (here >= 250 / 255).mean(), here.min(), here.max(), here.mean()]
    assert image_statistics(grey((image * 255).round()))[0].tolist() == pytest.approx(wanted, abs=1e-6)


def test_novelty_is_the_mahalanobis_distance_of_the_logarithms():
    clean, images = clean_of(), np.random.default_rng(2).integers(0, 256, (4, 12, 12, 1), np.uint8)
    whitening = np.array(clean.whitening)
    logs = np.log(image_statistics(images) + 1 / 255)
    wanted = [mahalanobis(row, clean.centre, whitening @ whitening.T) for row in logs]
    assert image_novelty(clean, images).tolist() == pytest.approx(wanted)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_blank_image_has_finite_logarithms(level):
    assert np.isfinite(log_statistics(np.full((1, 28, 28, 1), level, np.uint8))).all()


@pytest.mark.parametrize(
    "numbers",
    [
        {"centre": [0.0, 0.0], "whitening": [[1.0, 0.0]]},
        {"centre": [0.0, 0.0], "whitening": [[1.0], [0.0]]},
        {"centre": [float("nan")], "whitening": [[1.0]]},
        {"centre": [0.0], "whitening": [[float("inf")]]},
    ],
    ids=["a row too few", "a column too few", "no number", "no end"],
)
def test_numbers_that_make_no_distance_are_refused(numbers):
    with pytest.raises(ValidationError):
        CleanStatistics(**numbers)
