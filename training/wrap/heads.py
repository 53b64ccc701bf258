"""A shared-backbone oracle: heads on the wrapped classifier's own features, so that trust costs next to nothing.

The class head starts as the classifier's own answer and learns what to add to its logits from the features of corrupted
images; the steep slope head (Luo et al., 2021) learns when the classifier is right. The frozen classifier has computed
features and logits once, for clean images and for copies in chains of corruptions; only these arrays are learned from.
"""

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from training.data.dataset import Positions
from training.fit.loop import fit
from training.fit.plan import FitPlan
from training.oracle.losses import steep_slope_loss

_HIDDEN = 256
_EPOCHS = 12
_BATCH = 128
_LEARNING_RATE = 0.05
_SLOPE_CORRECT, _SLOPE_INCORRECT = 1.0, 3.0


@dataclass(frozen=True)
class FrozenAnswers:
    """What the frozen classifier says about images that it never saw, clean and corrupted."""

    features: NDArray[np.float32]  # (N, D)
    logits: NDArray[np.float32]  # (N, K)
    targets: NDArray[np.int64]  # (N,)


class SharedHeads(nn.Module):
    """Features (N, D) and logits (N, K) of the classifier -> oracle_logit (N,), oracle_class_logits (N, K)."""

    mean: Tensor
    spread: Tensor

    def __init__(self, mean: NDArray[np.float32], spread: NDArray[np.float32], classes: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(mean))
        self.register_buffer("spread", torch.from_numpy(spread))
        self.hidden = nn.Sequential(nn.Linear(len(mean), _HIDDEN), nn.ReLU())
        self.slope = nn.Linear(_HIDDEN, 1)
        self.correction = nn.Linear(_HIDDEN, classes)
        nn.init.zeros_(self.correction.weight)
        nn.init.zeros_(self.correction.bias)

    def forward(self, features: Tensor, logits: Tensor) -> dict[str, Tensor]:
        """Named outputs, as a bundle's graph gives them."""
        hidden = self.hidden((features - self.mean) / self.spread)
        return {
            "oracle_logit": self.slope(hidden).squeeze(1),
            "oracle_class_logits": logits + cast(Tensor, self.correction(hidden)),
        }


def fit_shared_heads(answers: FrozenAnswers, seed: int) -> SharedHeads:
    """Heads fitted on what the classifier said, on the CPU, in evaluation mode.

    Args:
        answers: each image several times: clean, and in copies corrupted differently.
        seed: of initialisation and order.
    """
    torch.manual_seed(seed)
    spread = answers.features.std(0) + 1e-3
    heads = SharedHeads(answers.features.mean(0), spread, answers.logits.shape[1])
    features, logits = torch.from_numpy(answers.features), torch.from_numpy(answers.logits)
    targets = torch.from_numpy(answers.targets)
    correct = logits.argmax(1) == targets

    def loss_of(model: nn.Module, batch: Positions, _: int) -> Tensor:
        outputs = model(features[batch], logits[batch])
        slope = steep_slope_loss(outputs["oracle_logit"], correct[batch], _SLOPE_CORRECT, _SLOPE_INCORRECT)
        return slope + F.cross_entropy(outputs["oracle_class_logits"], targets[batch])

    plan = FitPlan(_EPOCHS, _BATCH, _LEARNING_RATE)
    fit(heads, loss_of, np.arange(len(targets)), plan, seed=seed, title="heads on the classifier's features")
    return heads
