"""Losses of one sample that teach the oracle when the classifier is right: steep slope, and those it is compared with.

Luo et al., "Learning to Predict Trustworthiness with Steep Slope Loss", NeurIPS 2021, arXiv:2110.00054. Each is the
mean over the batch, or with `weights` (N,) the mean of weight times cost.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F


def steep_slope_loss(
    oracle_logits: Tensor,
    correct: Tensor,
    slope_correct: float = 1.0,
    slope_incorrect: float = 3.0,
    weights: Tensor | None = None,
) -> Tensor:
    """Mean steep slope loss over a batch, a non-negative scalar.

    With s = z / (1 + |z|) in (-1, 1) for an oracle logit z, one sample costs

        exp(-slope_correct * s)  - exp(-slope_correct)      where correct,
        exp(slope_incorrect * s) - exp(-slope_incorrect)    where not.

    (The signs of Eq. 8 are reversed in some copies of the paper: the loss must fall as z rises for a correct sample.)

    >>> z, right = torch.tensor([0.0]), torch.tensor([True])
    >>> round(steep_slope_loss(z, right).item(), 4), round(steep_slope_loss(z, ~right).item(), 4)   # 1-1/e, 1-1/e^3
    (0.6321, 0.9502)

    Args:
        oracle_logits: (N,) float; above 0 reads "trust this prediction".
        correct: (N,) bool.
        slope_correct, slope_incorrect: positive; the larger, the dearer a wrong verdict on such samples.
        weights: (N,), or none.

    Raises:
        ValueError: if the two shapes differ.
    """
    _check_shapes(oracle_logits, correct)
    s = oracle_logits / (1 + oracle_logits.abs())
    cost_correct = torch.exp(-slope_correct * s) - math.exp(-slope_correct)
    cost_incorrect = torch.exp(slope_incorrect * s) - math.exp(-slope_incorrect)
    return _mean(torch.where(correct, cost_correct, cost_incorrect), weights)


def cross_entropy_loss(oracle_logits: Tensor, correct: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean of -log p, p = sigmoid(z) or 1 - sigmoid(z) the probability given to the truth.

    >>> z = torch.tensor([math.log(3.0)])
    >>> round(cross_entropy_loss(z, torch.tensor([False])).item(), 4)    # -log(1 - 3/4)
    1.3863

    Args and errors as `steep_slope_loss`.
    """
    _check_shapes(oracle_logits, correct)
    return _mean(F.binary_cross_entropy_with_logits(oracle_logits, correct.float(), reduction="none"), weights)


def focal_loss(oracle_logits: Tensor, correct: Tensor, gamma: float = 2.0, weights: Tensor | None = None) -> Tensor:
    """Mean of (1 - p)^gamma times cross entropy, p the probability given to the truth (Lin et al., arXiv:1708.02002).

    >>> round(focal_loss(torch.tensor([0.0]), torch.tensor([True])).item(), 4)    # (1/2)^2 log 2
    0.1733

    Args and errors as `steep_slope_loss`; gamma 0 is cross entropy; the larger, the less easy samples count.
    """
    _check_shapes(oracle_logits, correct)
    entropy = F.binary_cross_entropy_with_logits(oracle_logits, correct.float(), reduction="none")
    return _mean((1 - torch.exp(-entropy)) ** gamma * entropy, weights)


def tcp_loss(oracle_logits: Tensor, true_class_probability: Tensor) -> Tensor:
    """Mean squared error of sigmoid(z) to the true class's probability (Corbiere et al., 2019, arXiv:1910.04851).

    Divided by the predicted class's probability the target is their TCP^r, 1 for every correct answer.

    >>> round(tcp_loss(torch.tensor([0.0]), torch.tensor([0.9])).item(), 4)    # (.5 - .9)^2
    0.16
    """
    return F.mse_loss(oracle_logits.sigmoid(), true_class_probability)


def outlier_loss(outputs: Mapping[str, Tensor]) -> Tensor:
    """What an oracle pays for taking images of no class at their word, a scalar.

    Half the cross entropy of its class head to the uniform distribution (Hendrycks et al., 2019, arXiv:1812.04606) and
    a tenth of the steep slope loss of an answer that is wrong.

    >>> logits = {"oracle_logit": torch.tensor([0.0]), "oracle_class_logits": torch.zeros(1, 2)}
    >>> round(outlier_loss(logits).item(), 4)    # log(2) / 2 + (1 - 1/e^3) / 10
    0.4416

    Args:
        outputs: oracle_logit (N,) and, where there is a class head, oracle_class_logits (N, K), of the outliers.
    """
    oracle_logits = outputs["oracle_logit"]
    loss = 0.1 * steep_slope_loss(oracle_logits, torch.zeros_like(oracle_logits, dtype=torch.bool))
    if "oracle_class_logits" in outputs:
        loss = loss - 0.5 * outputs["oracle_class_logits"].log_softmax(1).mean()
    return loss


def _mean(costs: Tensor, weights: Tensor | None) -> Tensor:
    return costs.mean() if weights is None else (weights * costs).mean()


def _check_shapes(oracle_logits: Tensor, correct: Tensor) -> None:
    if oracle_logits.shape != correct.shape:
        raise ValueError(f"oracle_logits {tuple(oracle_logits.shape)} != correct {tuple(correct.shape)}")
