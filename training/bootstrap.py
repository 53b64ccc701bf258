"""How sure a measure of a trust score is: percentile bootstrap intervals, and whether one score is better than another.

A resample draws N answers from the N at hand, with replacement. It is kept as how often each answer was drawn, so the
scores are sorted once and each measure is its formula over the counts of many resamples at once. Where a measure is
undefined on a resample (all answers right, or all wrong) the resample is left out of that measure's interval.

The interval is about answers of the same networks to other images of the same kind; what another training run would
change is not in it. Percentile intervals hold their level where right and wrong answers are many; with few of either
they are too narrow: the 95 % intervals of AUROC and AUGRC, for normal scores, held the truth in 93.5 to 94.7 % of 1,500
redraws with 70 or 90 wrong answers, in 89 to 91 % with ten wrong ones among 100 or 1,000. `ece` and the distances of
`separability` are biased upwards, and more so on a resample: their intervals lie high, and may lie above the value
itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from training.metrics.measure import Answers, Floats, Measure, higher_is_better, sort_answers

COUNTS_AT_ONCE = 2**18
"""Resamples are taken in chunks of about so many counts, which stay in the processor's cache."""


@dataclass(frozen=True)
class Interval:
    """A measure of the answers at hand, and from where to where it may lie for others of their kind."""

    value: float
    low: float
    high: float
    left_out: int
    """Resamples on which the measure is undefined."""


@dataclass(frozen=True)
class Comparison:
    """Score A's measure minus score B's, with the interval of that difference."""

    difference: float
    low: float
    high: float
    share_not_better: float
    """Share of the resamples in which A is worse than B or equal to it; small: A is better, and not by chance."""
    left_out: int
    """Resamples on which the measure is undefined."""


def bootstrap(
    measures: Mapping[str, Measure[...]],
    confidence: ArrayLike,
    correct: ArrayLike,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Interval]:
    """Each measure with its interval, all from the same resamples.

    Args:
        measures: by name; one with an option as `risk_at_coverage.at(coverage=0.8)`.
        confidence, correct: (N,) the score of each answer, and whether it was right.
        resamples: the ends of the interval move less from seed to seed the more there are.
        level: share of the resamples inside of the interval, in (0, 1).
        seed: of the resamples.

    >>> from training.metrics.ranking import auroc
    >>> bootstrap({"auroc": auroc}, [0.9, 0.8, 0.3, 0.2], [True, True, False, False])["auroc"].low
    1.0
    """
    answers = sort_answers(confidence, correct)
    found = _resampled(measures, [answers], resamples, seed)
    return {
        name: Interval(float(measure.over(answers)[0]), *percentile_ends(found[name][0], level))
        for name, measure in measures.items()
    }


def bootstrap_paired(
    measures: Mapping[str, Measure[...]],
    confidence_a: ArrayLike,
    confidence_b: ArrayLike,
    correct: ArrayLike,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Comparison]:
    """Is score A better than score B of the same answers? Both are measured on the same resamples.

    What makes a resample hard makes it so for both: the difference is known far better than either value. Which way is
    better the measure knows (`higher_is_better`). Arguments as of `bootstrap`.

    >>> from training.metrics.ranking import auroc
    >>> right = [True, True, False, False]
    >>> bootstrap_paired({"auroc": auroc}, [4, 3, 2, 1], [4, 2, 3, 1], right)["auroc"].difference
    0.25
    """
    pair = [sort_answers(confidence_a, correct), sort_answers(confidence_b, correct)]
    found = _resampled(measures, pair, resamples, seed)
    return {
        name: _compare(measure, [float(measure.over(score)[0]) for score in pair], found[name], level)
        for name, measure in measures.items()
    }


def bootstrap_mean_paired(
    measure: Measure[...],
    conditions: Sequence[tuple[ArrayLike, ArrayLike, ArrayLike]],
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Is score A better than score B on average over several conditions of the same images?

    A resample draws images, each with all its conditions: answers to one image under two corruptions go together.

    Args:
        measure: averaged over the conditions.
        conditions: (score A, score B, correct) of each, (N,) each, all in one order of the images.
        resamples, level, seed: as of `bootstrap`.

    >>> from training.metrics.ranking import auroc
    >>> right = [True, True, False, False]
    >>> bootstrap_mean_paired(auroc, [([4, 3, 2, 1], [4, 2, 3, 1], right), ([1] * 4, [1] * 4, right)]).difference
    0.125
    """
    pairs = [[sort_answers(a, correct), sort_answers(b, correct)] for a, b, correct in conditions]
    of_each = np.array([[float(measure.over(score)[0]) for score in pair] for pair in pairs])
    found = [_resampled({"": measure}, pair, resamples, seed)[""] for pair in pairs]
    return _compare(measure, of_each.mean(0).tolist(), np.mean(found, axis=0), level)


def _compare(measure: Measure[...], values: list[float], found: Floats, level: float) -> Comparison:
    """From the values of both scores, and of both on each resample, (2, resamples)."""
    differences = found[0] - found[1]
    low, high, left_out = percentile_ends(differences, level)
    gains = differences[np.isfinite(differences)] * (1 if measure.higher_is_better else -1)
    share = float((gains <= 0).mean()) if len(gains) else float("nan")
    return Comparison(values[0] - values[1], low, high, share, left_out)


def bootstrap_values(
    measures: Mapping[str, Measure[...]],
    confidence: ArrayLike,
    correct: ArrayLike,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Floats]:
    """Each measure on each resample, (resamples,), NaN where undefined; the same seed draws the same resamples.

    So many scores of the same answers can be compared pair by pair, each measured once. Arguments as of `bootstrap`.
    """
    found = _resampled(measures, [sort_answers(confidence, correct)], resamples, seed)
    return {name: values[0] for name, values in found.items()}


def percentile_ends(values: Floats, level: float = 0.95) -> tuple[float, float, int]:
    """Both ends of the percentile interval, and how many values are undefined."""
    defined = values[np.isfinite(values)]
    left_out = len(values) - len(defined)
    if not len(defined):
        return float("nan"), float("nan"), left_out
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high), left_out


def mean_interval(values: ArrayLike, resamples: int = 1000) -> Interval:
    """The mean of (N,) values with its bootstrap interval.

    >>> mean_interval([0.5, 0.5]).value
    0.5
    """
    # A mean needs no verdicts; those given here change nothing.
    return bootstrap({"mean": _mean}, values, np.zeros(np.shape(values)), resamples)["mean"]


@higher_is_better
def _mean(answers: Answers) -> Floats:
    return answers.mean(answers.confidence)


def draw_counts(answers: int, resamples: int, seed: int) -> Iterator[NDArray[np.intp]]:
    """How often each of N answers is in each resample, in chunks of (R, N); each row sums to N."""
    rng = np.random.default_rng(seed)
    rows = max(1, COUNTS_AT_ONCE // answers)
    for start in range(0, resamples, rows):
        drawn = rng.integers(answers, size=(min(rows, resamples - start), answers))
        row_start = np.arange(len(drawn))[:, None] * answers
        yield np.bincount((drawn + row_start).ravel(), minlength=drawn.size).reshape(drawn.shape)


def _resampled(
    measures: Mapping[str, Measure[...]], scores: list[Answers], resamples: int, seed: int
) -> dict[str, Floats]:
    """Each measure of each score on each resample, {name: (scores, resamples)}."""
    chunks: dict[str, list[list[Floats]]] = {name: [] for name in measures}
    for counts in draw_counts(len(scores[0].correct), resamples, seed):
        resampled = [answers.resample(counts) for answers in scores]
        for name, measure in measures.items():
            chunks[name].append([measure.over(answers) for answers in resampled])
    return {name: np.concatenate(values, axis=1) for name, values in chunks.items()}
