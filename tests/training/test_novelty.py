"""Novelty against distances worked out by scipy and statistics worked out by hand."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis
from torch import nn

from training.data.dataset import Split
from training.novelty import Novelty, fit_novelty, input_statistics


class RowMeans(nn.Module):
    """Stands for a classifier: the mean of each row is a feature."""

    def features(self, images):
        return images.mean((1, 3))


def test_log_distance_is_mahalanobis_to_the_nearest_mean():
    draw = np.random.default_rng(0)
    factor = draw.normal(size=(3, 3))
    means, mean = draw.normal(size=(2, 3)), draw.normal(size=9)
    novelty = Novelty(
        whitening=factor, means=means @ factor, input_whitening=np.eye(9), input_mean=mean, centre=[0, 0], spread=[1, 1]
    )
    features, images = draw.normal(size=(5, 3)), draw.random((5, 1, 6, 6))
    described = input_statistics(torch.tensor(images)).float()
    found = novelty.log_distances(described, torch.tensor(features).float())
    precision = factor @ factor.T
    nearest = [min(mahalanobis(row, centre, precision) for centre in means) for row in features]
    assert found[:, 0].tolist() == pytest.approx((2 * np.log(nearest)).tolist(), abs=1e-3)
    statistics = input_statistics(torch.tensor(images)).numpy()
    to_mean = np.linalg.norm(statistics - mean, axis=1)
    assert found[:, 1].tolist() == pytest.approx((2 * np.log(to_mean)).tolist(), abs=1e-3)


def test_input_statistics_of_a_white_dot_on_black():
    image = torch.zeros(1, 1, 5, 5)
    image[0, 0, 2, 2] = 1.0
    statistics = input_statistics(image)[0].tolist()
    mean, share = 1 / 25, 24 / 25
    deviation = (mean - mean**2) ** 0.5
    gradient = 2 / 20  # two of 20 neighbours differ by one
    laplacian = (4 + 4 * 1) / 9  # the dot and its four neighbours, among 9 inner pixels
    assert statistics == pytest.approx([mean, deviation, gradient, gradient, laplacian, share, mean, 0, 1], abs=1e-5)


@pytest.mark.parametrize("shape", [(5, 1, 28, 28), (3, 3, 20, 31)], ids=["grey", "colour"])
def test_input_statistics_are_those_that_numpy_works_out(shape):
    images = np.random.default_rng(3).integers(0, 256, shape) / 255
    images[0, :, :7] = 0
    images[1, :, 3:] = 1
    grey = images.mean(1)
    centre = grey[:, 1:-1, 1:-1]
    around = grey[:, 2:, 1:-1] + grey[:, :-2, 1:-1] + grey[:, 1:-1, 2:] + grey[:, 1:-1, :-2]
    of_pixels = [
        *(grey, np.abs(np.diff(grey, axis=1)), np.abs(np.diff(grey, axis=2)), np.abs(around - 4 * centre)),
        *(grey < 0.02, grey > 0.95),
    ]
    mean, *others = (values.mean((1, 2)) for values in of_pixels)
    wanted = np.stack([mean, grey.std((1, 2)), *others, grey.min((1, 2)), grey.max((1, 2))], axis=1)
    found = input_statistics(torch.from_numpy(images).float()).numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=2e-6)


def test_statistics_of_a_large_image_are_those_of_tiles_spread_over_it():
    # Levels rise by 1/1024 a column, and rows are alike but for every other one, .25 brighter.
    columns, rows = torch.arange(256) / 1024, torch.arange(128) % 2 / 4
    statistics = input_statistics((columns + rows[:, None]).expand(1, 3, 128, 256))[0].tolist()
    # Sixteen tiles of four along a side, the first and the last at its ends: means stay, 255/2048 and 1/8.
    assert statistics[0] == pytest.approx(255 / 2048 + 1 / 8, abs=1e-5)
    # Gradients are those of neighbours, not of what lies a tile apart; each inner pixel has two neighbours .25 off.
    assert statistics[2:5] == pytest.approx([1 / 4, 1 / 1024, 2 / 4], abs=1e-5)
    assert statistics[7:] == pytest.approx([0, 255 / 1024 + 1 / 4], abs=1e-6)


def test_novelty_is_about_zero_on_clean_images_and_high_on_others():
    draw = np.random.default_rng(1)
    store = draw.normal(100, 20, (600, 8, 8, 1)).clip(0, 255).astype(np.uint8)
    targets = np.arange(600) % 2
    novelty = fit_novelty(RowMeans(), Split(store, np.arange(600), targets), 2, torch.device("cpu"))

    def of(images):
        return novelty(images, RowMeans().features(images))

    clean = torch.from_numpy(store[300:]).permute(0, 3, 1, 2) / 255
    assert of(clean).mean().abs().item() < 0.05
    assert of(1 - clean).min().item() > 2


def test_class_without_an_image_changes_nothing():
    draw = np.random.default_rng(2)
    split = Split(draw.integers(0, 255, (60, 8, 8, 1), dtype=np.uint8), np.arange(60), np.arange(60) % 2)
    images = torch.rand(4, 1, 8, 8)
    values = fit_novelty(RowMeans(), split, 5, torch.device("cpu"))(images, RowMeans().features(images))
    assert values.isfinite().all()
