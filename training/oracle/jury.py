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

NOBODY = -1
"""Judge of an image whose verdict is not known."""


@dataclass(frozen=True)
class CrossFit:
    """Classifiers of K folds, each trained without the images of its own fold."""

    classifiers: Sequence[Classifier]
    """K of them, frozen, in evaluation mode."""
    fold_of: Positions
    """(N,) which fold a training image belongs to, hence which classifier never saw it."""


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
    """Verdicts on images by whoever may judge them."""

    judges: Sequence[Classifier]
    """Frozen, in evaluation mode."""
    judge_of: Positions
    """(N,) which of them judges an image, or NOBODY."""

    def known(self, batch: Positions) -> NDArray[np.bool_]:
        """Of which images at these positions a verdict is known, (n,)."""
        return self.judge_of[batch] != NOBODY

    @torch.no_grad()
    def verdicts(self, images: Tensor, batch: Positions, targets: Tensor) -> Verdicts:
        """On the very images given, corrupted or not; each of known verdict.

        Args:
            images: (n, C, H, W) in [0, 1].
            batch: (n,) their positions.
            targets: (n,) their classes.
        """
        judge_of = torch.from_numpy(self.judge_of[batch]).to(images.device)
        logits = torch.empty(len(images), self.judges[0].classes, device=images.device)
        for number in judge_of.unique().tolist():
            own = judge_of == number
            logits[own] = self.judges[number](images[own])
        return judge(logits, targets)


def call_jury(
    classifier: Classifier, seen: int, heldout: int, labels: Labels, crossfit: CrossFit | None = None
) -> Jury:
    """The jury of some labels, over the classifier's training images and then those it never saw.

    Args:
        classifier: judges what it never saw, and with labels `training` its training images too.
        seen, heldout: how many images of either.
        labels: whose verdicts count.
        crossfit: judges the training images with labels `crossfit`.

    Raises:
        ValueError: labels `crossfit` without it.
    """
    if labels == "crossfit":
        if crossfit is None:
            raise ValueError("labels crossfit without classifiers of the folds; run `trustserve-train folds` first")
        return Jury([classifier, *crossfit.classifiers], np.append(crossfit.fold_of + 1, np.zeros(heldout, int)))
    return Jury([classifier], np.repeat([0 if labels == "training" else NOBODY, 0], [seen, heldout]))
