"""Shared-backbone oracle: heads on the classifier's own features, so that trust costs next to nothing when served."""

import torch
from torch import Tensor, nn

from training.oracle.heads import dense, slope_head
from training.oracle.recipes import OracleRecipe

_CLASS_WIDTH = 256


class SharedOracle(nn.Module):
    """Features (N, D) -> oracle_logit (N,) and, with a class head, oracle_class_logits (N, K).

    Args:
        feature_count: D.
        classes: K.
        recipe: which heads.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, feature_count: int, classes: int, recipe: OracleRecipe) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(feature_count))
        self.register_buffer("std", torch.ones(feature_count))
        self.slope_head = slope_head(recipe.head, feature_count)
        self.class_head = dense(feature_count, _CLASS_WIDTH, classes) if recipe.class_head else None

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        """Named outputs, as the exported graph gives them."""
        standard = (features - self.mean) / self.std
        outputs = {"oracle_logit": self.slope_head(standard).squeeze(1)}
        if self.class_head is not None:
            outputs["oracle_class_logits"] = self.class_head(standard)
        return outputs


class WithSharedOracle(nn.Module):
    """A classifier and the oracle on its features as one graph: what the former says, and the latter's outputs.

    Args:
        classifier: images -> named outputs, `features` (N, D) among them.
        oracle: of its features.
    """

    def __init__(self, classifier: nn.Module, oracle: SharedOracle) -> None:
        super().__init__()
        self.classifier, self.oracle = classifier, oracle

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        outputs = self.classifier(images)
        return {**outputs, **self.oracle(outputs["features"])}
