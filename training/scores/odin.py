"""ODIN: softmax at a high temperature, of an image moved a little towards its answer (Liang et al., 2018).

arXiv:1706.02690. Familiar images gain more from the move than foreign ones do.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from training.metrics.ranking import fpr_at_95_tpr

TEMPERATURES = (1.0, 10.0, 100.0, 1000.0)
"""The decades among the paper's ten temperatures."""
STEPS = tuple(0.0004 * number for number in range(11))
"""Every other one of the paper's 21 steps, 0 to .004."""

_BATCH = 128


@dataclass(frozen=True, eq=False)
class Odin:
    """The pass: images (N, C, H, W) in [0, 1] -> odin (N,), in the order of p = max softmax(logits(moved) / T).

    moved = x + step sign(gradient), the gradient being that of log max softmax(logits(x) / T) by the image. Given as
    T (log p / (1 - p) + log(K - 1)), on the scale of a logit: p itself would be rounded away in float32, at a
    temperature of 1 where it is nearly 1, at 1000 where it is nearly 1 / K.
    """

    classifier: nn.Module
    temperature: float
    step: float
    """Of each pixel, in units of the full range."""

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        direction = _towards_answer(self.classifier, images, self.temperature)
        return {"odin": _score(self.classifier, images + self.step * direction, self.temperature)}


def fit_odin(classifier: nn.Module, familiar: Tensor, foreign: Tensor) -> Odin:
    """Temperature and step with the lowest false positive rate at 95 % true positives, as published.

    Among equals the lowest temperature and the smallest step. Costs 4 gradients and 44 passes of all images.

    Args:
        classifier: in evaluation mode.
        familiar: calibration images, (N, C, H, W) in [0, 1].
        foreign: images of none of the classes, (M, C, H, W), such as noise; none that will be evaluated on.
    """
    images = torch.cat([familiar, foreign])
    is_familiar = np.arange(len(images)) < len(familiar)
    missed: dict[tuple[float, float], float] = {}
    for temperature in TEMPERATURES:
        direction = _towards_answer(classifier, images, temperature)
        for step in STEPS:
            scores = _score(classifier, images + step * direction, temperature).cpu().numpy()
            missed[temperature, step] = float(fpr_at_95_tpr(scores, is_familiar))
    return Odin(classifier, *min(missed, key=missed.__getitem__))


def _towards_answer(classifier: nn.Module, images: Tensor, temperature: float) -> Tensor:
    """Sign of the gradient of log max softmax(logits / T) by each pixel, shape of the images."""

    def sign(batch: Tensor) -> Tensor:
        moved = batch.detach().clone().requires_grad_(True)
        answered = (classifier(moved).double() / temperature).log_softmax(1).amax(1).sum()
        return torch.autograd.grad(answered, moved)[0].sign()

    # Predictions run in inference mode, in which nothing has a gradient.
    with torch.inference_mode(False), torch.enable_grad():
        return torch.cat([sign(batch) for batch in images.split(_BATCH)])


@torch.no_grad()
def _score(classifier: nn.Module, images: Tensor, temperature: float) -> Tensor:
    """The answer's logit less the soft mean of the others, (N,)."""
    logits = torch.cat([classifier(batch) for batch in images.split(_BATCH)]).double()
    ascending = (logits / temperature).sort(1).values
    others = ascending[:, :-1].logsumexp(1) - math.log(logits.shape[1] - 1)
    return temperature * (ascending[:, -1] - others)
