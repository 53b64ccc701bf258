"""Trust scores from several passes over one image: mirrored, with dropout on, or by the members of an ensemble.

All judge the answer that the classifier gave in its plain pass; the passes do not change it. Higher reads "trust".
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import log_softmax, softmax

from trust.head import Floats


def mean_probability(passes: ArrayLike, answers: ArrayLike) -> Floats:
    """Mean over the passes of the softmax probability of the answer, (N,).

    Of dropout: Gal and Ghahramani, 2016, arXiv:1506.02142; of an ensemble: Lakshminarayanan et al., 2017,
    arXiv:1612.01474.

    Args:
        passes: logits, (N, T, K).
        answers: class that each answer names, (N,).

    >>> mean_probability(np.log([[[0.9, 0.1], [0.3, 0.7]]]), [0]).round(4).tolist()    # (.9 + .3) / 2
    [0.6]
    """
    mean = softmax(np.asarray(passes, float), axis=2).mean(1)
    return np.asarray(mean[np.arange(len(mean)), np.asarray(answers, int)])


def flip_confidence(logits: ArrayLike, flipped_logits: ArrayLike) -> Floats:
    """Probability of the answer, averaged over the image and its mirror image, (N,).

    Test-time augmentation in its smallest form (Bahat and Shakhnarovich, 2020, arXiv:2006.16705).

    Args:
        logits, flipped_logits: (N, K) of the image and of its mirror image.

    >>> flip_confidence(np.log([[0.8, 0.2]]), np.log([[0.4, 0.6]])).round(4).tolist()    # (.8 + .4) / 2
    [0.6]
    """
    return mean_probability(np.stack([logits, flipped_logits], axis=1), np.argmax(logits, axis=1))


def negative_predictive_entropy(passes: ArrayLike) -> Floats:
    """Sum of p log p with p the mean softmax of the passes (N, T, K), (N,); 0 where sure.

    >>> negative_predictive_entropy(np.log([[[0.75, 0.25], [0.25, 0.75]]])).round(4).tolist()    # p = 1/2: -log 2
    [-0.6931]
    """
    # log p from log-probabilities: the softmax of a far-off class is 0, and 0 log 0 is not a number.
    log_mean = _log_mean(log_softmax(np.asarray(passes, float), axis=2))
    return np.asarray((np.exp(log_mean) * log_mean).sum(1))


def negative_mutual_information(passes: ArrayLike) -> Floats:
    """What the passes (N, T, K) disagree about: mean entropy less entropy of the mean, (N,); 0 where they agree.

    Houlsby et al., 2011, arXiv:1112.5745. Summed as the mean divergence of a pass from the mean, which does not cancel.

    >>> certain_and_opposed = [[[50.0, 0.0], [0.0, 50.0]]]
    >>> negative_mutual_information(certain_and_opposed).round(4).tolist()    # 0 - log 2
    [-0.6931]
    """
    log_probabilities = log_softmax(np.asarray(passes, float), axis=2)
    divergence = np.exp(log_probabilities) * (log_probabilities - _log_mean(log_probabilities)[:, None])
    return np.asarray(-divergence.sum(2).mean(1))


def _log_mean(log_probabilities: Floats) -> Floats:
    """Logarithm of the mean over passes, (N, T, K) -> (N, K)."""
    return np.asarray(np.logaddexp.reduce(log_probabilities, axis=1) - np.log(log_probabilities.shape[1]))
