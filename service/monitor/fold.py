"""The fold: answers in bulk into metrics, window, alarms and journal, a column at a time instead of an answer."""

import itertools
import logging
import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from service.inference.answer import Answer
from service.journal.journal import Journal
from service.journal.records import AnswerRecord
from service.monitor.intake import Batch
from service.monitor.memory import Memory
from service.monitor.model_metrics import ModelMetrics
from service.monitor.novelty import NoveltyReference
from service.monitor.subject import Subject
from service.monitor.window import Floats, Observations
from trust.image_statistics import image_novelty
from trust.score import question_answer_trust

IMAGES_AT_ONCE = 64
"""Of which statistics are made: enough that numpy's calls cost little, few enough that they stay in the cache."""

_logger = logging.getLogger("trustserve")


class Fold:
    """Counts answers of one bundle; to be called by one thread at a time.

    Args:
        subject, memory, metrics, journal: as in `Live`.
    """

    def __init__(self, subject: Subject, memory: Memory, metrics: ModelMetrics, journal: Journal | None) -> None:
        self._subject, self._memory, self._metrics, self._journal = subject, memory, metrics, journal
        self._alarms = memory.alarms
        self._classes, self._last_row = len(subject.manifest.classes), len(subject.names) - 1

    def add(self, batches: Sequence[Batch], now: float) -> None:
        """Counts batches in their order; one that cannot be counted is logged, counted as such and costs no other."""
        answers = list(itertools.chain.from_iterable(batch.answers for batch in batches))
        if not answers:
            return
        try:
            observations = self._observations(batches, answers)
        except Exception:
            if len(batches) > 1:
                half = len(batches) // 2
                self.add(batches[:half], now)
                self.add(batches[half:], now)
                return
            _logger.exception("%d answers cannot be counted", len(answers))
            self._metrics.unobserved("failed", len(answers))
            return
        parts: dict[str, Callable[[], None]] = {
            "metrics": lambda: self._metrics.observe(observations),
            "window": lambda: self._memory.add(observations, now),
            "alarms": lambda: self.show_alarms(self._alarms.observe(observations)),
            "journal": lambda: self._record(batches, answers, observations),
        }
        for name, part in parts.items():
            try:
                part()
            except Exception:
                _logger.exception("%d answers are missing in the %s", len(answers), name)
                self._metrics.unobserved("failed", len(answers))

    def show_alarms(self, raised: Iterable[str] = ()) -> None:
        """Shows how the alarms stand; counts and logs those that were just raised."""
        manifest, watches = self._subject.manifest, self._alarms.watches
        for name in raised:
            self._metrics.alarm_raised(name)
            _logger.warning(
                "alarm %s of %s %s: its watched mean fell below %.4f",
                *(name, manifest.name, manifest.version, watches[name].mu0),
            )
        for watch in watches.values():
            self._metrics.alarm(watch.name, watch.level, watch.active)

    def _observations(self, batches: Sequence[Batch], answers: Sequence[Answer]) -> Observations:
        """The answers' columns.

        Raises:
            ValueError: a value is out of its range, or there are not as many request ids, or images, as answers.
        """
        lengths = [len(batch.answers) for batch in batches]
        if [len(batch.request_ids) for batch in batches] != lengths:
            raise ValueError("there are not as many request ids as answers")
        if any(len(batch.images) not in (0, len(batch.answers)) for batch in batches):
            raise ValueError("there are not as many images as answers")
        class_index = np.array([answer.class_index for answer in answers])
        trust = np.array([answer.trust for answer in answers])
        confidence = np.array([answer.confidence for answer in answers])
        for name, values in {"trust": trust, "confidence": confidence}.items():
            if not ((values >= 0) & (values <= 1)).all():
                raise ValueError(f"{name} of an answer is not in [0, 1]")
        if class_index.min() < 0 or class_index.max() >= self._classes:
            raise ValueError(f"class of an answer is not one of the {self._classes} of the bundle")
        subject = self._subject
        return Observations(
            at=np.repeat([batch.at for batch in batches], lengths),
            class_index=np.minimum(class_index, self._last_row),
            trusted=np.array([answer.trusted for answer in answers]),
            trust=trust,
            confidence=confidence,
            question_answer=question_answer_trust(confidence, trust, subject.reward, subject.penalty),
            p_value=_p_values(subject.novelty, [answer.novelty for answer in answers]),
            image_p_value=self._image_p_values(batches, lengths),
        )

    def _image_p_values(self, batches: Sequence[Batch], lengths: Sequence[int]) -> Floats:
        """By their pixels alone, of the images that came with their answers; NaN where none came."""
        clean, reference = self._subject.manifest.image_statistics, self._subject.image_novelty
        p_values = np.full(sum(lengths), math.nan)
        images = [image for batch in batches for image in batch.images]
        if images and clean is not None and reference is not None:
            starts = range(0, len(images), IMAGES_AT_ONCE)
            found = [image_novelty(clean, np.array(images[start : start + IMAGES_AT_ONCE])) for start in starts]
            came = np.repeat([len(batch.images) > 0 for batch in batches], lengths)
            p_values[came] = reference.p_values(np.concatenate(found))
        return p_values

    def _record(self, batches: Sequence[Batch], answers: Sequence[Answer], observations: Observations) -> None:
        if self._journal is not None:
            manifest = self._subject.manifest
            # In the order of the record's fields.
            columns = (
                itertools.chain.from_iterable(batch.request_ids for batch in batches),
                observations.at.tolist(),
                itertools.repeat(manifest.name, len(answers)),
                itertools.repeat(manifest.version, len(answers)),
                [answer.class_index for answer in answers],
                observations.confidence.tolist(),
                observations.trust.tolist(),
                [answer.threshold for answer in answers],
                observations.trusted.tolist(),
                observations.question_answer.tolist(),
                [answer.head_inputs.tobytes() for answer in answers],
                [answer.novelty for answer in answers],
            )
            self._journal.record(*map(AnswerRecord._make, zip(*columns, strict=True)))


def _p_values(reference: NoveltyReference | None, novelties: Sequence[float | None]) -> Floats:
    """Of novelties (N,); NaN where an answer has none, or there is nothing to rank it among."""
    p_values = np.full(len(novelties), math.nan)
    if reference is not None:
        # None is an answer without a novelty, not a number one beyond all others.
        measured = [novelty is not None for novelty in novelties]
        p_values[measured] = reference.p_values([novelty for novelty in novelties if novelty is not None])
    return p_values
