"""Heads that turn features into the oracle's logit."""

import itertools
from typing import Literal

import torch
from torch import Tensor, nn

HeadName = Literal["mlp", "linear", "signed_distance", "confidnet"]

_CONFIDNET_WIDTH = 400


class SignedDistance(nn.Module):
    """(w.x + b) / ||w||, (N, D) -> (N, 1): how far a feature lies on which side of a plane (Luo et al., 2021)."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, 1) / inputs**0.5)
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, features: Tensor) -> Tensor:
        return (features @ self.weight + self.bias) / self.weight.norm()


def slope_head(name: HeadName, inputs: int) -> nn.Module:
    """A head by name, features (N, D) -> logit (N, 1).

    `confidnet` has the five dense layers, 400 wide, of Corbiere et al. (2019, arXiv:1910.04851) and their code.
    """
    if name == "signed_distance":
        return SignedDistance(inputs)
    if name == "linear":
        return nn.Linear(inputs, 1)
    if name == "mlp":
        return dense(inputs, 64, 1)
    return dense(inputs, *[_CONFIDNET_WIDTH] * 4, 1)


def dense(*widths: int) -> nn.Sequential:
    """Dense layers between these widths, with a ReLU between each two."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
