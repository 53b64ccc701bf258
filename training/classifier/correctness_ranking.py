"""Correctness Ranking Loss: an image more often answered right during training is to be answered with more confidence.

Moon et al., "Confidence-Aware Learning for Deep Neural Networks", ICML 2020, arXiv:2007.01458; the scaling of the
counts is that of their released code.
"""

from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object
from numpy.typing import NDArray
from torch import Tensor

from training.classifier.confidence import ConfidenceName, confidence

Positions = NDArray[np.int64]


def correctness_ranking_loss(confidences: Tensor, standing: Tensor) -> Tensor:
    """Mean hinge over pairs of neighbours in the batch, the last with the first; a non-negative scalar.

        max(0, -sign(c_i - c_j) (k_i - k_j) + |c_i - c_j|)

    >>> correctness_ranking_loss(Tensor([0.9, 0.5]), Tensor([1.0, 0.0])).item()    # .4 apart, 1 wanted: twice .6
    0.6000000238418579

    Args:
        confidences: (B,) k.
        standing: (B,) c, how often each image was answered right so far, scaled to [0, 1].
    """
    apart = confidences - confidences.roll(-1)
    wanted = standing - standing.roll(-1)
    return (wanted.abs() - wanted.sign() * apart).clamp(min=0).mean()


class CorrectnessCounts:
    """How often each image was answered right over the run; belongs into a checkpoint.

    Args:
        images: number of training images.
    """

    def __init__(self, images: int) -> None:
        self.right: NDArray[np.int64] = np.zeros(images, np.int64)
        self.shown = 0

    def standing(self, batch: Positions) -> NDArray[np.float64]:
        """(c - min c) / (epochs done - min c) of the images at these positions, the epochs 1 at least.

        While an epoch lasts, an image it has shown already may stand above 1, as in the released code. Where every
        image was always answered right there is nothing to rank: 0 for all (the released code divides by 0).

        >>> counts = CorrectnessCounts(2)
        >>> for _ in range(4): counts.update(np.array([0, 1]), np.array([True, False]))
        >>> counts.standing(np.array([0, 1])).tolist()
        [1.0, 0.0]
        """
        lowest = self.right.min()
        span = max(1, self.shown // len(self.right)) - lowest
        return (self.right[batch] - lowest) / span if span > 0 else np.zeros(len(batch))

    def update(self, batch: Positions, correct: NDArray[np.bool_]) -> None:
        """Counts the answers to the images at these positions, and those that other processes of the run were shown."""
        for positions, right in gather_object([(batch, correct)]):
            self.right[positions] += right
            self.shown += len(positions)

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"right": torch.from_numpy(self.right.copy()), "shown": self.shown}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """From a checkpoint."""
        self.right, self.shown = state["right"].cpu().numpy().copy(), state["shown"]


class CorrectnessRanking:
    """The loss with its memory: what to add to the cross entropy of each batch.

    Args:
        counts: of the training images; this updates them.
        confidence_name: what is ranked.
    """

    def __init__(self, counts: CorrectnessCounts, confidence_name: ConfidenceName) -> None:
        self.counts, self.confidence_name = counts, confidence_name

    def __call__(self, logits: Tensor, batch: Positions, targets: Tensor) -> Tensor:
        """Loss of a batch as it stood before, a scalar; then its answers are counted.

        Args:
            logits: (B, K).
            batch: (B,) positions of the images, in the order of the logits.
            targets: (B,).
        """
        standing = torch.from_numpy(self.counts.standing(batch)).to(logits)
        loss = correctness_ranking_loss(confidence(self.confidence_name, logits), standing)
        self.counts.update(batch, (logits.detach().argmax(1) == targets).cpu().numpy())
        return loss
