"""Weights that make the few incorrect answers count as much as the many correct ones."""

from dataclasses import dataclass

from training.oracle.verdicts import VerdictCounts


@dataclass(frozen=True)
class VerdictWeights:
    """What one sample's loss is multiplied with."""

    correct: float = 1.0
    incorrect: float = 1.0


def inverse_frequency_weights(counts: VerdictCounts) -> VerdictWeights:
    """N / (2 n) for a kind that occurs n times among N: both kinds weigh the same, and a sample 1 on average.

    >>> inverse_frequency_weights(VerdictCounts(correct=3, incorrect=1))    # 4/6 and 4/2
    VerdictWeights(correct=0.6666666666666666, incorrect=2.0)

    Raises:
        ValueError: only one kind occurs.
    """
    counts.require_both()
    total = counts.correct + counts.incorrect
    return VerdictWeights(total / (2 * counts.correct), total / (2 * counts.incorrect))


def effective_number_weights(counts: VerdictCounts, beta: float = 0.999) -> VerdictWeights:
    """Class-balanced weights, 1 / E(n) scaled to sum to 2, with the effective number E(n) = (1 - beta^n) / (1 - beta).

    Beyond some 1 / (1 - beta) samples of a kind more of them add next to nothing (Cui et al., 2019, arXiv:1901.05555).

    >>> weights = effective_number_weights(VerdictCounts(correct=2, incorrect=1), beta=0.5)    # E = 1.5 and 1
    >>> round(weights.correct, 6), round(weights.incorrect, 6)    # 2/1.5 and 2/1 over 1/1.5 + 1
    (0.8, 1.2)

    Raises:
        ValueError: only one kind occurs, or beta is not within [0, 1).
    """
    counts.require_both()
    if not 0 <= beta < 1:
        raise ValueError(f"beta is {beta:g}; wanted 0 (no balancing) up to, and without, 1 (inverse frequency)")
    correct, incorrect = ((1 - beta) / (1 - beta**n) for n in (counts.correct, counts.incorrect))
    scale = 2 / (correct + incorrect)
    return VerdictWeights(scale * correct, scale * incorrect)
