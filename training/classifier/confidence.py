"""Confidence as the correctness ranking loss has it: differentiable, the higher the surer."""

import math
from typing import Literal

from torch import Tensor

ConfidenceName = Literal["softmax", "margin", "entropy"]


def confidence(name: ConfidenceName, logits: Tensor) -> Tensor:
    """Confidence of each answer, (N,).

    softmax: probability of the answer; margin: that less the second one; entropy: negative, over log K, in [-1, 0].

    >>> logits = Tensor([[0.6, 0.3, 0.1], [1 / 3, 1 / 3, 1 / 3]]).log()
    >>> [round(value, 4) for value in confidence("margin", logits).tolist()]    # .6 - .3
    [0.3, 0.0]
    >>> round(confidence("entropy", logits)[1].item(), 4)    # no answer is less sure
    -1.0

    Args:
        name: which.
        logits: (N, K).
    """
    probabilities = logits.softmax(1)
    if name == "softmax":
        return probabilities.max(1).values
    if name == "margin":
        first, second = probabilities.topk(2, dim=1).values.unbind(1)
        return first - second
    return (probabilities * logits.log_softmax(1)).sum(1) / math.log(logits.shape[1])
