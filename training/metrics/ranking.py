"""How well a trust score ranks right answers above wrong ones; any scale will do, only the order counts.

Where all answers are right, or all wrong, there is nothing to rank: NaN. Tied answers are accepted together.
"""

import numpy as np

from training.metrics.measure import Answers, Floats, higher_is_better, lower_is_better


@higher_is_better
def auroc(answers: Answers) -> Floats:
    """Probability that a right answer scores above a wrong one, ties one half.

    >>> auroc([0.9, 0.8, 0.3], [True, False, False])
    1.0
    """
    correct, wrong = answers.accepted_correct, np.diff(answers.accepted_errors)
    beaten_by = (correct[:, 1:] + correct[:, :-1]) / 2
    return (wrong * beaten_by).sum(1) / (answers.errors * correct[:, -1])


@higher_is_better
def aupr_success(answers: Answers) -> Floats:
    """Average precision with right answers as positives, ranked by falling confidence.

    Average precision: the sum over distinct scores of precision times the step in recall, without interpolation. A
    constant score earns the share of positives.

    >>> aupr_success([0.9, 0.8, 0.3], [True, False, True])    # (1 / 1 + 2 / 3) / 2
    0.8333333333333333
    """
    return _average_precision(np.diff(answers.accepted_correct), np.diff(answers.accepted_errors))


@higher_is_better
def aupr_error(answers: Answers) -> Floats:
    """Average precision with wrong answers as positives, ranked by rising confidence: that of the negated confidence.

    >>> aupr_error([0.9, 0.8, 0.3], [True, True, False])
    1.0
    """
    correct, wrong = np.diff(answers.accepted_correct), np.diff(answers.accepted_errors)
    return _average_precision(wrong[:, ::-1], correct[:, ::-1])


@lower_is_better
def fpr_at_95_tpr(answers: Answers) -> Floats:
    """Share of the wrong answers accepted at the strictest threshold that accepts at least 95 % of the right ones.

    No interpolation between thresholds: with ties this may be far above 95 %.

    >>> fpr_at_95_tpr([0.9, 0.8, 0.3, 0.2], [True, False, True, False])
    0.5
    """
    correct = answers.accepted_correct
    at = np.argmax(correct / correct[:, -1:] >= 0.95, axis=1)
    accepted = np.take_along_axis(answers.accepted_errors, at[:, None], axis=1)[:, 0]
    return np.where(correct[:, -1] > 0, accepted / answers.errors, np.nan)


def _average_precision(positives: Floats, negatives: Floats) -> Floats:
    """(R,), from how many of each stand at each distinct score, (R, G), the highest score first."""
    hits = np.cumsum(positives, axis=1)
    accepted = hits + np.cumsum(negatives, axis=1)
    # Scores that a resample does not hold come first in some: none accepted, no step in recall, no precision needed.
    area = (positives * hits / np.maximum(accepted, 1)).sum(1)
    return np.where(accepted[:, -1] > hits[:, -1], area / hits[:, -1], np.nan)
