"""Question-answer trust and what is built from it: spectrum, density and NetTrustScore.

Wong, Wang, Hryniowski, "How Much Can We Really Trust You?", 2020, arXiv:2009.05835;
Hryniowski, Wong, Wang, "Where Does Trust Break Down?", 2020, arXiv:2009.14701.

Everywhere `correct` is 0, 1 or a probability: with P(correct) in place of the verdict the same formulas give
the expected value, which needs no target.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def question_answer_trust(
    confidence: ArrayLike, correct: ArrayLike, reward: float = 1.0, penalty: float = 1.0
) -> Floats:
    """Trust earned by each answer, (N,) in [0, 1].

        Q = correct * confidence**reward + (1 - correct) * (1 - confidence)**penalty

    >>> question_answer_trust([0.9, 0.8], [1, 0]).round(2).tolist()    # right and sure; wrong and sure
    [0.9, 0.2]
    >>> question_answer_trust([0.9], [0.5]).round(2).tolist()          # right with probability one half
    [0.5]
    """
    confidence, correct = np.asarray(confidence, float), np.asarray(correct, float)
    return correct * confidence**reward + (1 - correct) * (1 - confidence) ** penalty


def net_trust_score(confidence: ArrayLike, correct: ArrayLike, reward: float = 1.0, penalty: float = 1.0) -> float:
    """Mean question-answer trust: classes count as often as they occur.

    ResNet-50 of Wong et al. is right on 75.6 % with mean confidence .887, and .565 sure where it is wrong:

    >>> round(net_trust_score([0.887] * 756 + [0.565] * 244, [1] * 756 + [0] * 244), 2)
    0.78

    Raises:
        ValueError: without a single answer there is no score.
    """
    trust = question_answer_trust(confidence, correct, reward, penalty)
    if trust.size == 0:
        raise ValueError("net trust score of 0 answers is undefined; give at least one")
    return float(trust.mean())


def trust_spectrum(trust: ArrayLike, class_index: ArrayLike, classes: int) -> Floats:
    """Mean question-answer trust of each class, (classes,); NaN where a class has no answer.

    By target the spectrum of the paper, by predicted class the one that needs no targets: say which.

    >>> trust_spectrum([0.9, 0.7, 0.2], [0, 0, 2], classes=3).round(2).tolist()
    [0.8, nan, 0.2]
    """
    index = np.asarray(class_index)
    sums = np.bincount(index, np.asarray(trust, float), minlength=classes)
    counts = np.bincount(index, minlength=classes)
    return np.asarray(np.divide(sums, counts, out=np.full(classes, np.nan), where=counts > 0))


def trust_density(trust: ArrayLike, at: ArrayLike) -> Floats:
    """Density of question-answer trust at points in [0, 1], same shape as `at`.

    Gaussian kernel of bandwidth 0.5 / sqrt(N), reflected at 0 and 1 so that it integrates to one over [0, 1].

    >>> points = np.linspace(0, 1, 1001)
    >>> round(float(np.trapezoid(trust_density([0.0, 0.4, 1.0, 0.9], points), points)), 3)
    1.0
    """
    trust, at = np.asarray(trust, float).ravel(), np.asarray(at, float)
    bandwidth = 0.5 / np.sqrt(trust.size)
    centres = np.concatenate([trust, -trust, 2 - trust])
    kernels = np.exp(-0.5 * ((at[..., None] - centres) / bandwidth) ** 2)
    density: Floats = kernels.sum(-1) / (trust.size * bandwidth * np.sqrt(2 * np.pi))
    return density
