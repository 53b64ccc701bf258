"""Attacks against a linear classifier, whose worst image within a ball is known by hand."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from training.shift.adversarial import fgsm, pgd


class Linear(nn.Module):
    """Logits of 2 x 2 grey images: class 0 likes pixels with a positive weight, class 1 the others."""

    def __init__(self):
        super().__init__()
        self.weights = torch.tensor([2.0, -1.0, 3.0, -2.0])

    def forward(self, images):
        value = images.flatten(1) @ self.weights
        return torch.stack([value, -value], 1)


@pytest.fixture
def images():
    return torch.randint(0, 256, (6, 1, 2, 2), generator=torch.Generator().manual_seed(0)) / 255


TARGETS = torch.tensor([0, 1, 0, 1, 0, 1])
ATTACKS = {"fgsm": fgsm, "pgd": pgd}


def grey_levels(images):
    return (images * 255).round().int()


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
@pytest.mark.parametrize("epsilon", [1, 8])
def test_attack_stays_within_the_ball_and_on_the_grid(attack, epsilon, images):
    moved = attack(Linear(), images, TARGETS, epsilon)
    assert (grey_levels(moved) - grey_levels(images)).abs().max() <= epsilon
    assert torch.equal(moved, grey_levels(moved) / 255)
    assert moved.min() >= 0
    assert moved.max() <= 1


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_attack_finds_the_corner_of_the_ball_where_a_linear_classifier_is_worst(attack, images):
    moved = attack(Linear(), images, TARGETS, epsilon=5)
    towards_wrong = torch.where(TARGETS == 0, -1, 1).view(-1, 1, 1, 1)
    worst = grey_levels(images) + 5 * towards_wrong * torch.tensor([1, -1, 1, -1]).view(1, 1, 2, 2)
    assert torch.equal(grey_levels(moved), worst.clamp(0, 255).int())


def test_several_steps_raise_the_loss_of_a_curved_classifier_further_than_one():
    torch.manual_seed(3)
    curved = nn.Sequential(nn.Flatten(), nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 3)).eval()
    for weight in curved.parameters():
        weight.data *= 4
    images = torch.randint(0, 256, (64, 1, 4, 4)) / 255
    targets = curved(images).argmax(1)
    clean, once, often = (
        cross_entropy(curved(x), targets).item()
        for x in (images, fgsm(curved, images, targets, 16), pgd(curved, images, targets, 16))
    )
    assert clean < once < often


def test_attack_leaves_no_gradient_behind(images):
    classifier = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    fgsm(classifier, images, TARGETS, 4)
    assert all(parameter.grad is None for parameter in classifier.parameters())
