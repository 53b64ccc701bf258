"""How far a trust score can be taken at its word, as the probability of being right: confidence (N,) in [0, 1].

Defined for any list, also without right or without wrong answers; the order of ties does not matter.
"""

import numpy as np

from training.metrics.measure import Answers, Floats, lower_is_better

ROUNDING = 1e-6
"""How far above 1 a float32 softmax may come out."""


@lower_is_better
def ece(answers: Answers, bins: int = 15) -> Floats:
    """Expected calibration error: mean |accuracy - probability| over equal-width bins, weighted by their counts.

    Guo et al., 2017, arXiv:1706.04599; a bin holds its lower edge, the last one both. Biased upwards: the fewer answers
    a bin holds, the more chance alone adds.

    >>> round(ece([0.9, 0.9, 0.1, 0.1], [True, False, False, False]), 2)    # (|.5 - .9| + |0 - .1|) / 2
    0.25
    """
    probability = _probability(answers)
    bin_of_each = np.minimum((probability * bins).astype(int), bins - 1)
    gap_by_bin = np.zeros((len(probability), bins))
    gap_by_bin[np.arange(len(probability)), bin_of_each] = probability - answers.correct
    return np.abs(answers.weights @ gap_by_bin).sum(1) / answers.total


@lower_is_better
def brier_score(answers: Answers) -> Floats:
    """Mean squared difference between the probability of being right and 1 or 0, in [0, 1] (Brier, 1950).

    >>> round(brier_score([0.9, 0.6], [True, False]), 3)    # (.1^2 + .6^2) / 2
    0.185
    """
    return answers.mean((_probability(answers) - answers.correct) ** 2)


@lower_is_better
def nll(answers: Answers) -> Floats:
    """Mean negative log-likelihood, in nats, of having been right or wrong.

    Probabilities are kept 2.2e-16 away from 0 and 1, as scikit-learn's `log_loss` does: a sure mistake costs 36.

    >>> round(nll([0.5, 0.25], [True, False]), 4)    # (ln 2 + ln 4/3) / 2
    0.4904
    """
    smallest = np.finfo(float).eps
    probability = np.clip(_probability(answers), smallest, 1 - smallest)
    return answers.mean(-np.log(np.where(answers.correct > 0, probability, 1 - probability)))


def _probability(answers: Answers) -> Floats:
    confidence = answers.confidence
    if outside := int(np.count_nonzero((confidence < -ROUNDING) | (confidence > 1 + ROUNDING))):
        raise ValueError(
            f"{outside} of {len(confidence)} confidences are outside of [0, 1]; calibration is about probabilities: "
            "map the score to one first"
        )
    return np.clip(confidence, 0, 1)
