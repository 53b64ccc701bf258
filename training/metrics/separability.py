"""How far apart the scores of right and of wrong answers lie, from a normal distribution fitted to each.

Luo et al., 2021, arXiv:2110.00054, report both distances for oracle logits. Unlike a ranking, they change when the
score is mapped to another scale; they are about logits rather than about probabilities. Fits are by maximum likelihood
(variance over n, not n - 1). NaN where the scores of right or of wrong answers do not spread: none, all equal, or their
standard deviation under a millionth of the range of all scores.
"""

import numpy as np
from numpy.typing import ArrayLike

from training.metrics.measure import Answers, Floats, higher_is_better

LEAST_SPREAD = 1e-6


def separability(confidence: ArrayLike, correct: ArrayLike) -> tuple[float, float]:
    """Mean KL divergence and Bhattacharyya distance between the two fits, in nats.

    >>> mean_kl, bhattacharyya = separability([4, 6, 1, 3], [True, True, False, False])    # N(5, 1) and N(2, 1)
    >>> round(mean_kl, 6), round(bhattacharyya, 6)    # 3^2 / 2; 3^2 / 8
    (4.5, 1.125)
    """
    return kl_divergence(confidence, correct), bhattacharyya_distance(confidence, correct)


@higher_is_better
def kl_divergence(answers: Answers) -> Floats:
    """Mean of both directions of the Kullback-Leibler divergence between the two fits.

    With means m, variances v: ((v1 + d) / v2 + (v2 + d) / v1) / 4 - 1/2, d = (m1 - m2)^2.

    >>> round(kl_divergence([4, 6, 0, 4], [True, True, False, False]), 6)    # N(5, 1), N(2, 4): (10/4 + 13) / 4 - 1/2
    3.375
    """
    distance, right, wrong = _fit(answers)
    return ((right + distance) / wrong + (wrong + distance) / right) / 4 - 1 / 2


@higher_is_better
def bhattacharyya_distance(answers: Answers) -> Floats:
    """Distance D between the two fits: (m1 - m2)^2 / (4 (v1 + v2)) + ln((v1 + v2) / (2 sqrt(v1 v2))) / 2.

    The Bhattacharyya coefficient, their overlap in [0, 1], is exp(-D).

    >>> round(bhattacharyya_distance([4, 6, 0, 4], [True, True, False, False]), 6)    # 9/20 + ln(5/4) / 2
    0.561572
    """
    distance, right, wrong = _fit(answers)
    return distance / (4 * (right + wrong)) + np.log((right + wrong) / (2 * np.sqrt(right * wrong))) / 2


def _fit(answers: Answers) -> tuple[Floats, Floats, Floats]:
    """Squared distance of the two means, variance of right answers' scores, of wrong ones', (R,) each."""
    # Centred first: the variance is a difference of squares, exact only near zero.
    score = answers.confidence - answers.confidence[len(answers.confidence) // 2]
    powers = np.stack([np.ones_like(score), score, score**2], axis=1)  # (N, 3)
    right_mean, right = _mean_and_variance(answers.weights @ (powers * answers.correct[:, None]))
    wrong_mean, wrong = _mean_and_variance(answers.weights @ (powers * (1 - answers.correct)[:, None]))
    least = (LEAST_SPREAD * np.ptp(score)) ** 2
    right, wrong = (np.where(variance > least, variance, np.nan) for variance in (right, wrong))
    return (right_mean - wrong_mean) ** 2, right, wrong


def _mean_and_variance(sums: Floats) -> tuple[Floats, Floats]:
    """Both (R,), from the sums of the powers 0, 1, 2, (R, 3)."""
    mean, mean_square = sums[:, 1] / sums[:, 0], sums[:, 2] / sums[:, 0]
    return mean, mean_square - mean**2
