"""The oracle: a copy of the classifier's backbone that learns when the classifier is right, and what was right.

Two heads: the steep slope head gives one logit, above 0 "trust this prediction" (Luo et al., 2021); the class head
names the class itself, trained on corrupted images, so that its log-odds of the classifier's answer are a second
opinion that survives shift.
"""

import copy
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.classifier import Classifier
from training.config import OracleRecipe
from training.corruptions import corrupt_in_chains
from training.data import Dataset
from training.fit import fit
from training.images import flip_and_shift, to_images
from training.losses import judge, oracle_loss


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


def fit_oracle(
    classifier: Classifier, dataset: Dataset, recipe: OracleRecipe, *, batch_size: int, seed: int, title: str
) -> Oracle:
    """An oracle for a frozen classifier, on the classifier's device.

    Correctness is what the classifier itself answers on the very image of the batch, corrupted or not. With held-out
    labels it counts only on the oracle split, whose images the classifier never saw; the class head learns from both.

    Args:
        classifier: in evaluation mode; not changed.
        dataset: its train and oracle splits are used.
        recipe: how.
        batch_size: images a step.
        seed: of initialisation, order and corruptions.
        title: what the progress bar says.
    """
    torch.manual_seed(seed)
    device = next(classifier.parameters()).device
    oracle = Oracle(classifier, recipe).to(device)
    split, seen = dataset.train + dataset.oracle, len(dataset.train)
    targets = torch.from_numpy(split.targets).to(device)
    heldout = np.tile(np.arange(seen, len(split)), recipe.heldout_repeats)
    draw = np.random.default_rng(seed)

    def loss_of(batch: np.ndarray) -> Tensor:
        images = to_images(split.pixels(batch), device)
        corrupted = round(recipe.corrupted_share * len(batch))
        if corrupted:
            chained = corrupt_in_chains(images[:corrupted], recipe.kinds, seed=int(draw.integers(2**31)))
            images = torch.cat([chained, images[corrupted:]])
        images = flip_and_shift(images)
        target = targets[batch]
        outputs = oracle(images)
        known = torch.from_numpy((batch >= seen) | (recipe.labels == "training")).to(device)
        # A batch may hold no image whose verdict is known: then the head learns nothing from it.
        loss = 0 * outputs["oracle_logit"].sum()
        if known.any():
            with torch.no_grad():
                verdicts = judge(classifier(images[known]), target[known])
            logits = outputs["oracle_logit"][known]
            loss = oracle_loss(recipe.loss, logits, verdicts, recipe.slope_correct, recipe.slope_incorrect)
        if recipe.class_head:
            loss = loss + F.cross_entropy(outputs["oracle_class_logits"], target)
        return loss

    fit(
        oracle,
        loss_of,
        np.concatenate([np.arange(seen), heldout]),
        epochs=recipe.epochs,
        batch_size=batch_size,
        learning_rate=recipe.learning_rate,
        seed=seed,
        title=title,
    )
    return oracle


def _slope_head(kind: str, inputs: int) -> nn.Module:
    if kind == "signed_distance":
        return SignedDistance(inputs)
    if kind == "linear":
        return nn.Linear(inputs, 1)
    return nn.Sequential(nn.Linear(inputs, 64), nn.ReLU(), nn.Linear(64, 1))
