"""Outliers are images of the batch's shape in which its own pictures can no longer be told."""

import pytest
import torch

from training.shift.outliers import CHUNK, make_outliers


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 17, 24)], ids=["grey", "colour"])
@pytest.mark.parametrize("count", [1, 3 * CHUNK], ids=["one", "many"])
def test_outliers_are_images_of_the_same_shape_and_follow_from_the_seed(count, shape):
    images = torch.rand(count, *shape, generator=torch.Generator().manual_seed(0))
    outliers = make_outliers(images, seed=3)
    assert outliers.shape == images.shape
    assert torch.equal(outliers, (outliers.clamp(0, 1) * 255).round() / 255)
    assert torch.equal(outliers, make_outliers(images, seed=3))
    assert not torch.equal(outliers, make_outliers(images, seed=4))


def test_no_outlier_looks_like_the_image_in_its_place():
    smooth = torch.rand(8 * CHUNK, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    images = torch.nn.functional.interpolate(smooth, (28, 28), mode="bicubic").clamp(0, 1)
    outliers = make_outliers(images, seed=0)
    pairs = zip(images.flatten(1), outliers.flatten(1), strict=True)
    alike = torch.stack([torch.corrcoef(torch.stack(pair))[0, 1] for pair in pairs])
    # Of four images overlaid each shares half of its standard deviation with the sum.
    assert alike.mean() < 0.35


def test_callers_random_numbers_are_left_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    make_outliers(torch.rand(4, 1, 8, 8, generator=torch.Generator()), seed=0)
    assert torch.equal(torch.rand(1), expected)
