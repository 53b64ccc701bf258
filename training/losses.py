"""Steep slope loss: trains the oracle to separate correct from incorrect predictions.

Luo et al., "Learning to Predict Trustworthiness with Steep Slope Loss", NeurIPS 2021, arXiv:2110.00054.
"""

import math

import torch
from torch import Tensor


def steep_slope_loss(
    oracle_logits: Tensor, correct: Tensor, slope_correct: float = 1.0, slope_incorrect: float = 3.0
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

    Raises:
        ValueError: if the two shapes differ.
    """
    if oracle_logits.shape != correct.shape:
        raise ValueError(f"oracle_logits {tuple(oracle_logits.shape)} != correct {tuple(correct.shape)}")
    s = oracle_logits / (1 + oracle_logits.abs())
    cost_correct = torch.exp(-slope_correct * s) - math.exp(-slope_correct)
    cost_incorrect = torch.exp(slope_incorrect * s) - math.exp(-slope_incorrect)
    return torch.where(correct, cost_correct, cost_incorrect).mean()
