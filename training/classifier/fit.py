"""Fits a classifier: by cross entropy, ranked by correctness, or towards flat minima (the plan's part)."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from training.classifier.confidence import ConfidenceName
from training.classifier.correctness_ranking import CorrectnessCounts, CorrectnessRanking
from training.classifier.network import Classifier
from training.data.dataset import Split
from training.data.images import flip_and_shift, to_images
from training.fit.loop import fit
from training.fit.plan import FitPlan
from training.fit.record import Record

ClassifierLossName = Literal["cross_entropy", "crl", "fmfp"]


@dataclass(frozen=True)
class ClassifierLoss:
    """What a classifier is fitted with."""

    name: ClassifierLossName = "cross_entropy"
    """crl adds the correctness ranking loss; fmfp is cross entropy under a plan of sharpness-aware steps (SAM) and
    averaged weights (SWA), as Zhu et al. (2023, arXiv:2303.02970) find it to separate right from wrong best."""
    crl_confidence: ConfidenceName = "softmax"
    """What the correctness ranking loss ranks."""
    crl_weight: float = 1.0
    """What it counts against cross entropy."""


def fit_classifier(
    classifier: Classifier,
    split: Split,
    loss: ClassifierLoss,
    plan: FitPlan,
    *,
    seed: int,
    title: str,
    record: Record | None = None,
) -> None:
    """Fits a classifier in place, on its device; left in evaluation mode.

    Args:
        classifier: pixels in [0, 1] -> logits.
        split: its training images.
        loss: with which loss.
        plan: how.
        seed: of order and augmentation.
        title: what the progress bar says.
        record: where to leave log and checkpoints.
    """
    device = next(classifier.parameters()).device
    targets = torch.from_numpy(split.targets).to(device)
    counts = CorrectnessCounts(len(split))
    ranking = CorrectnessRanking(counts, loss.crl_confidence)

    def loss_of(model: nn.Module, batch: NDArray[np.int64], _: int) -> Tensor:
        logits, target = model(flip_and_shift(to_images(split.pixels(batch), device))), targets[batch]
        cost = F.cross_entropy(logits, target)
        return cost + loss.crl_weight * ranking(logits, batch, target) if loss.name == "crl" else cost

    state = {"correctness": counts} if loss.name == "crl" else None
    fit(classifier, loss_of, np.arange(len(split)), plan, seed=seed, title=title, record=record, state=state)


def classifier_plan(name: ClassifierLossName, epochs: int, batch_size: int, learning_rate: float) -> FitPlan:
    """The plan that goes with a loss: this project's, or for fmfp the published one scaled to these epochs.

    Zhu et al. train 200 epochs from .1 by SGD with plain momentum, radius .05, cosine, averaging at .05 from epoch 120.

    Args:
        name: of the loss.
        epochs, batch_size, learning_rate: of the plan.

    Raises:
        ValueError: naming a field that cannot be.
    """
    if name != "fmfp":
        return FitPlan(epochs, batch_size, learning_rate)
    return FitPlan(
        epochs,
        batch_size,
        learning_rate,
        nesterov=False,
        schedule="cosine",
        sam_radius=0.05,
        swa_from=0.6,
        swa_learning_rate=learning_rate / 2,
    )
