"""Sums of the answers of the last week, in rings of time buckets: any span up to a week adds up in milliseconds.

An answer is added to one bucket of every ring; a span is read from the finest ring that reaches back so far. What is
kept of a bucket are sums, so that workers and buckets add up, and no single answer remains.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

RINGS = ((10, 60), (60, 60), (600, 144), (7200, 84))
"""Seconds a bucket and buckets: ten minutes, an hour, a day and a week. Every length is a multiple of the first."""
SHORTEST_SECONDS = RINGS[0][0]
LONGEST_SECONDS = RINGS[-1][0] * RINGS[-1][1]

BINS = 20
"""Equal bins of [0, 1]; an answer on an edge counts in the bin below it, as in Prometheus."""

Floats = NDArray[np.float64]


class Observations(NamedTuple):
    """Answers as the monitor counts them, in the order in which they were given: (N,) each."""

    at: Floats  # seconds since the epoch
    class_index: NDArray[np.int64]  # predicted, among the classes that are told apart
    trusted: NDArray[np.bool_]
    trust: Floats
    confidence: Floats
    question_answer: Floats  # expected, without a target
    p_value: Floats  # of its novelty; NaN where there is none
    image_p_value: Floats  # of its image novelty; NaN where there is none


class Sums:
    """Sums over some answers, all of them views of one vector, so that adding is one addition.

    Args:
        classes: K.
        values: the vector, (Sums.size(K),); absent: all 0.
    """

    MEASURES = ("answers", "trust", "trust_squares", "question_answer", "question_answer_squares", "confidence",
                "confidence_squares")  # fmt: skip

    def __init__(self, classes: int, values: Floats | None = None) -> None:
        self.values = np.zeros(self.size(classes)) if values is None else values
        measures, *rest = np.split(self.values, np.cumsum(self._lengths(classes)[:-1]))
        self.measures = measures.reshape(len(self.MEASURES), 2, classes)
        """Each measure by decision (untrust, trust) and predicted class, (7, 2, K)."""
        self.trust_bins, self.confidence_bins, question_answer_bins, self.p_values, self.image_p_values = rest
        self.question_answer_bins = question_answer_bins.reshape(classes, BINS)

    @classmethod
    def size(cls, classes: int) -> int:
        """Length of the vector.

        >>> Sums.size(10) == 7 * 2 * 10 + 20 + 20 + 20 * 10 + 2 + 2
        True
        """
        return sum(cls._lengths(classes))

    @classmethod
    def _lengths(cls, classes: int) -> tuple[int, ...]:
        return (len(cls.MEASURES) * 2 * classes, BINS, BINS, BINS * classes, 2, 2)

    @classmethod
    def of(cls, classes: int, observations: Observations) -> "Sums":
        """Sums over answers."""
        sums = cls(classes)
        _, class_index, trusted, trust, confidence, question_answer, *p_values = observations
        cell = trusted * classes + class_index
        addends = (None, trust, trust**2, question_answer, question_answer**2, confidence, confidence**2)
        for measure, addend in zip(sums.measures, addends, strict=True):
            measure[:] = np.bincount(cell, addend, minlength=2 * classes).reshape(2, classes)
        sums.trust_bins[:] = np.bincount(_bins(trust), minlength=BINS)
        sums.confidence_bins[:] = np.bincount(_bins(confidence), minlength=BINS)
        cell = class_index * BINS + _bins(question_answer)
        sums.question_answer_bins[:] = np.bincount(cell, minlength=BINS * classes).reshape(classes, BINS)
        for of_sums, p_value in zip((sums.p_values, sums.image_p_values), p_values, strict=True):
            measured = p_value[~np.isnan(p_value)]
            of_sums[:] = len(measured), measured.sum()
        return sums

    def total(self, measure: str, trusted: bool | None = None) -> float:
        """One measure over all classes, of both decisions or of one."""
        return float(self.by_class(measure, trusted).sum())

    def by_class(self, measure: str, trusted: bool | None = None) -> Floats:
        """One measure by predicted class, (K,), of both decisions or of one."""
        rows = self.measures[self.MEASURES.index(measure)]
        chosen: Floats = rows.sum(axis=0) if trusted is None else rows[int(trusted)]
        return chosen


class Window:
    """Sums of the last week.

    Args:
        classes: K.
    """

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self._rings: dict[int, dict[int, Floats]] = {seconds: {} for seconds, _ in RINGS}

    def add(self, observations: Observations, now: float) -> None:
        """Adds answers, and forgets what is out of reach.

        A clock that was wrong leaves buckets in the future: they are forgotten as soon as they are as far away as the
        oldest, so that what is kept stays bounded whatever the clock does.
        """
        finest = observations.at // SHORTEST_SECONDS
        numbers = sorted(set(finest.tolist()))
        for number in numbers:
            # Nearly always there is one, and all are in it.
            chosen = slice(None) if len(numbers) == 1 else finest == number
            some = Observations._make(column[chosen] for column in observations)
            addend = Sums.of(self._classes, some).values
            for seconds, ring in self._rings.items():
                bucket = int(number * SHORTEST_SECONDS // seconds)
                ring[bucket] = ring[bucket] + addend if bucket in ring else addend.copy()
        for seconds, length in RINGS:
            reach = now // seconds
            kept = {number: values for number, values in self._rings[seconds].items() if abs(number - reach) < length}
            self._rings[seconds] = kept

    def sums(self, span_seconds: float, now: float) -> tuple[Sums, float]:
        """Sums of the last `span_seconds`, and since when (seconds since the epoch) they really are.

        The span ends now and begins on the edge of a bucket: it is shorter than asked by less than one bucket.

        Args:
            span_seconds: from SHORTEST_SECONDS to LONGEST_SECONDS.
            now: seconds since the epoch.
        """
        seconds = next(seconds for seconds, length in RINGS if span_seconds <= seconds * length)
        first, last = (now - span_seconds) // seconds + 1, now // seconds
        total = Sums(self._classes)
        for number, values in self._rings[seconds].items():
            if first <= number <= last:
                total.values += values
        return total, first * seconds

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The whole window as arrays, for a file."""
        return {
            f"{seconds}.{name}": array
            for seconds, ring in self._rings.items()
            for name, array in (
                ("numbers", np.array([*ring], np.int64)),
                ("values", np.array([*ring.values()]).reshape(-1, Sums.size(self._classes))),
            )
        }

    @classmethod
    def from_arrays(cls, classes: int, arrays: Mapping[str, NDArray[Any]]) -> "Window":
        """The window that `arrays` wrote.

        Raises:
            ValueError: they are not a window of so many classes.
        """
        window = cls(classes)
        for seconds in window._rings:
            numbers, values = arrays.get(f"{seconds}.numbers"), arrays.get(f"{seconds}.values")
            if numbers is None or values is None or values.shape != (len(numbers), Sums.size(classes)):
                raise ValueError(f"buckets of {seconds} s are missing, or not those of {classes} classes")
            if not np.isfinite(values).all():
                raise ValueError(f"buckets of {seconds} s hold a value that is not a number")
            window._rings[seconds] = dict(zip(numbers.tolist(), values, strict=True))
        return window


def _bins(values: Floats) -> NDArray[np.intp]:
    """Bin of each value in [0, 1]: k where k / 20 < value <= (k + 1) / 20, and the first for 0."""
    return np.searchsorted(_EDGES, values, side="left")


_EDGES = np.arange(1, BINS) / BINS
