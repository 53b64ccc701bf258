"""ConfidNet's ranking loss: a structured hinge on the average precision with which correct answers come first.

Corbiere et al., 2019, arXiv:1910.04851, compare with it; their released code takes it from Durand's MANTRA. It is the
structural SVM of Yue et al., "A Support Vector Method for Optimizing Average Precision", SIGIR 2007; see also
Mohapatra et al., "Efficient Optimization for Average Precision SVM", NeurIPS 2014.
"""

import torch
from torch import Tensor


def ranking_loss(oracle_logits: Tensor, correct: Tensor) -> Tensor:
    """Upper bound of 1 - average precision, a non-negative scalar; 0 where the batch has verdicts of one kind only.

    With P correct answers and N incorrect ones, the most violating ranking R costs

        max_R  1 - AP(R) - 2 / (P N) * sum of z_p - z_n over the pairs that R puts the wrong way round.

    Each incorrect answer finds its place in R by itself: above the k-th best correct answer and all below it. Putting
    the j-th best incorrect answer above the k-th best correct one costs the latter j / (j + k) - (j - 1) / (j + k - 1)
    of precision.

    >>> right_first, wrong_first = torch.tensor([True, False]), torch.tensor([False, True])
    >>> z = torch.tensor([0.1, 0.0])
    >>> round(ranking_loss(z, right_first).item(), 4)    # 1 - 1/2 from the swapped pair, less 2 (.1 - 0)
    0.3
    >>> round(ranking_loss(z, wrong_first).item(), 4)    # 1 - 1/2, plus 2 (.1 - 0)
    0.7

    Args:
        oracle_logits: (B,); above 0 reads "trust this prediction".
        correct: (B,) bool.
    """
    right = oracle_logits[correct].sort(descending=True).values
    wrong = oracle_logits[~correct].sort(descending=True).values
    if not len(right) or not len(wrong):
        return 0 * oracle_logits.sum()
    k = torch.arange(1, len(right) + 1, device=right.device)
    j = torch.arange(1, len(wrong) + 1, device=wrong.device)[:, None]
    precision_lost = (j / (j + k) - (j - 1) / (j + k - 1)) / len(right)
    gain = precision_lost - 2 * (right - wrong[:, None]) / (len(right) * len(wrong))  # (N, P)
    above_k_and_below = gain.flip(1).cumsum(1)
    return above_k_and_below.max(1).values.clamp(min=0).sum()
