"""The fold: answers in bulk into metrics, window, alarms and journal, a column at a time instead of an answer."""

import itertools
import logging
import math
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
            "journal": lambda: self._record(batches, observations.question_answer),
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
        class_index = _column(answers, "class_index", int)
        trust, confidence = _column(answers, "trust", float), _column(answers, "confidence", float)
        for name, values in {"trust": trust, "confidence": confidence}.items():
            if not ((values >= 0) & (values <= 1)).all():
                raise ValueError(f"{name} of an answer is not in [0, 1]")
        if class_index.min() < 0 or class_index.max() >= self._classes:
            raise ValueError(f"class of an answer is not one of the {self._classes} of the bundle")
        subject = self._subject
        return Observations(
            at=np.repeat([batch.at for batch in batches], lengths),
            class_index=np.minimum(class_index, self._last_row),
            trusted=_column(answers, "trusted", bool),
            trust=trust,
            confidence=confidence,
            question_answer=question_answer_trust(confidence, trust, subject.reward, subject.penalty),
            p_value=_p_values(subject.novelty, [answer.novelty for answer in answers]),
            image_p_value=_p_values(subject.image_novelty, self._image_novelties(batches)),
        )

    def _image_novelties(self, batches: Sequence[Batch]) -> list[float | None]:
        """By their pixels alone, of the images that came with their answers."""
        clean = self._subject.manifest.image_statistics
        images = [image for batch in batches for image in batch.images]
        found: list[float] = []
        if clean is not None:
            for start in range(0, len(images), IMAGES_AT_ONCE):
                found += image_novelty(clean, np.stack(images[start : start + IMAGES_AT_ONCE])).tolist()
        novelty = iter(found)
        return [next(novelty) if batch.images else None for batch in batches for _ in batch.answers]

    def _record(self, batches: Sequence[Batch], estimates: Floats) -> None:
        if self._journal is not None:
            model, version = self._subject.manifest.name, self._subject.manifest.version
            estimate = iter(estimates.tolist())
            self._journal.record(
                *(
                    AnswerRecord(
                        request_id=request_id,
                        answered_at=batch.at,
                        model=model,
                        version=version,
                        class_index=answer.class_index,
                        confidence=answer.confidence,
                        trust=answer.trust,
                        threshold=answer.threshold,
                        trusted=answer.trusted,
                        question_answer_estimate=next(estimate),
                        head_inputs=answer.head_inputs.tobytes(),
                        novelty=answer.novelty,
                    )
                    for batch in batches
                    for request_id, answer in zip(batch.request_ids, batch.answers, strict=True)
                )
            )


def _p_values(reference: NoveltyReference | None, novelties: Sequence[float | None]) -> Floats:
    """Of novelties (N,); NaN where an answer has none, or there is nothing to rank it among."""
    p_values = np.full(len(novelties), math.nan)
    if reference is not None:
        # None is an answer without a novelty, not a number one beyond all others.
        measured = np.fromiter((novelty is not None for novelty in novelties), bool, len(novelties))
        p_values[measured] = reference.p_values([novelty for novelty in novelties if novelty is not None])
    return p_values


def _column(answers: Sequence[Answer], name: str, kind: type) -> NDArray[Any]:
    return np.fromiter(map(attrgetter(name), answers), kind, len(answers))
