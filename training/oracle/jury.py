"""Who says whether the classifier was right on an image: itself, or the fold that never saw the image."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.classifier.network import Classifier
from training.oracle.recipes import Labels
from training.oracle.verdicts import Verdicts, judge

Positions = NDArray[np.int64]


@dataclass(frozen=True)
class CrossFit:
    """Classifiers of K folds, each trained without the images of its own fold."""

    classifiers: Sequence[Classifier]
    """K of them, frozen, in evaluation mode."""
    fold_of: Positions
    """(N,) which fold a training image belongs to, hence which classifier never saw it."""

    @torch.no_grad()
    def logits(self, images: Tensor, positions: Positions) -> Tensor:
        """Of each image the answer of the classifier that never saw it, (n, K).

        Args:
            images: (n, C, H, W) in [0, 1].
            positions: (n,) of the images among the training images.
        """
        folds = torch.from_numpy(self.fold_of[positions]).to(images.device)
        out = torch.empty(len(images), self.classifiers[0].classes, device=images.device)
        for fold, classifier in enumerate(self.classifiers):
            own = folds == fold
            if own.any():
                out[own] = classifier(images[own])
        return out


def fold_of_each(images: int, folds: int, seed: int) -> Positions:
    """Which fold each of N images belongs to, (N,) in [0, K): random, of equal size but for one image.

    >>> np.bincount(fold_of_each(10, folds=3, seed=0)).tolist()
    [4, 3, 3]

    Raises:
        ValueError: fewer than two folds, or fewer images than folds.
    """
    if not 2 <= folds <= images:
        raise ValueError(f"{folds} folds of {images} images; wanted at least 2 folds and an image for each")
    return np.random.default_rng((seed, folds)).permutation(np.arange(images) % folds)


@dataclass(frozen=True)
class Jury:
    """Verdicts on the images an oracle learns from: first the classifier's training images, then those held out."""

    classifier: Classifier
    """Frozen, in evaluation mode."""
    seen: int
    """How many of the images the classifier was trained on."""
    labels: Labels
    """Where verdicts are known."""
    crossfit: CrossFit | None = None
    """For labels `crossfit`."""

    def __post_init__(self) -> None:
        if self.labels == "crossfit" and self.crossfit is None:
            raise ValueError("labels crossfit without classifiers of the folds; run `trustserve-train folds` first")

    def known(self, batch: Positions) -> NDArray[np.bool_]:
        """Of which images at these positions a verdict is known, (n,)."""
        return (batch >= self.seen) | (self.labels != "heldout")

    @torch.no_grad()
    def verdicts(self, images: Tensor, batch: Positions, targets: Tensor) -> Verdicts:
        """On the very images given, corrupted or not; all of known verdict.

        Args:
            images: (n, C, H, W) in [0, 1].
            batch: (n,) their positions.
            targets: (n,) their classes.
        """
        return judge(self._logits(images, batch), targets)

    def _logits(self, images: Tensor, batch: Positions) -> Tensor:
        if self.crossfit is None or self.labels != "crossfit":
            return self.classifier(images)
        held = torch.from_numpy(batch >= self.seen).to(images.device)
        out = torch.empty(len(images), self.classifier.classes, device=images.device)
        if held.any():
            out[held] = self.classifier(images[held])
        if not held.all():
            out[~held] = self.crossfit.logits(images[~held], batch[batch < self.seen])
        return out
