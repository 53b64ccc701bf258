"""The oracle: a copy of the classifier's backbone that learns when the classifier is right, and what was right.

Two heads: the steep slope head gives one logit, above 0 "trust this prediction" (Luo et al., 2021); the class head
names the class itself, trained on corrupted images, so that its log-odds of the classifier's answer are a second
opinion that survives shift.
"""

import copy
from typing import cast

import torch
from torch import Tensor, nn

from training.classifier.network import Classifier
from training.config import OracleRecipe


class Oracle(nn.Module):
    """Images (N, C, H, W) in [0, 1] -> oracle_logit (N,) and, with a class head, oracle_class_logits (N, K)."""

    def __init__(self, classifier: Classifier, recipe: OracleRecipe) -> None:
        super().__init__()
        # The classifier is frozen; its copy is to learn.
        self.network = copy.deepcopy(classifier).requires_grad_(True)
        last = self.network.backbone.get_classifier()  # type: ignore[operator]
        self.slope_head = _slope_head(recipe.head, cast(int, last.in_features))
        self.has_class_head = recipe.class_head

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Named outputs, as the exported graph gives them."""
        features = self.network.features(images)
        outputs = {"oracle_logit": self.slope_head(features).squeeze(1)}
        if self.has_class_head:
            outputs["oracle_class_logits"] = self.network.logits_of(features)
        return outputs


class SignedDistance(nn.Module):
    """(w.x + b) / ||w||, (N, D) -> (N, 1): how far a feature lies on which side of a plane."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, 1) / inputs**0.5)
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, features: Tensor) -> Tensor:
        return (features @ self.weight + self.bias) / self.weight.norm()


def _slope_head(kind: str, inputs: int) -> nn.Module:
    if kind == "signed_distance":
        return SignedDistance(inputs)
    if kind == "linear":
        return nn.Linear(inputs, 1)
    return nn.Sequential(nn.Linear(inputs, 64), nn.ReLU(), nn.Linear(64, 1))
