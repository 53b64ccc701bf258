"""The live monitor of one bundle: takes every answer and every label; what is heavy happens beside the requests."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Literal

from service.errors import JournalOff, JournalUnavailable
from service.inference.answer import Answer
from service.journal.journal import Journal
from service.journal.records import JournalAway, Label, Labelled, LabelledColumns, Outcome
from service.monitor.fold import Fold
from service.monitor.intake import Batch, Intake
from service.monitor.labelled_metrics import LabelledAnswer
from service.monitor.memory import Memory
from service.monitor.model_metrics import ModelMetrics
from service.monitor.report import monitor_report, window_seconds
from service.monitor.schemas import MonitorReport, Span
from service.monitor.subject import Subject
from trust.preprocess import Pixels
from trust.score import question_answer_trust

_logger = logging.getLogger("trustserve")


class Live:
    """Takes answers and labels, from any thread: all but `observe` blocks.

    An answer is taken in at once and counted by the next `fold`: several times a second in the background, and before
    figures are read or labels taken, so that nobody sees the difference.

    Args:
        subject: what is monitored.
        memory: of its windows and alarms.
        metrics: of the bundle.
        journal: where answers wait for labels; None: there is none.
        minimum: fewest answers, or labels, that a figure rests on.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        subject: Subject,
        memory: Memory,
        metrics: ModelMetrics,
        journal: Journal | None,
        minimum: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._subject, self._memory, self._metrics, self._journal = subject, memory, metrics, journal
        self._minimum, self._clock = minimum, clock
        self._model, self._version = subject.manifest.name, subject.manifest.version
        self._intake = Intake()
        self._fold = Fold(subject, memory, metrics, journal)
        self._folding = threading.Lock()
        metrics.alarms(memory.alarms.watches, memory.alarms.threshold)
        self._fold.show_alarms()

    @property
    def waiting(self) -> int:
        """Answers that are not counted yet."""
        return self._intake.waiting

    def observe(self, request_ids: Sequence[str], answers: Sequence[Answer], images: Sequence[Pixels] = ()) -> None:
        """Takes the answers of one batch, before they are sent; neither blocks nor raises.

        Args:
            request_ids, answers: (N,) each, in the same order; not changed afterwards.
            images: (N,) what was answered, (H, W, C) each and of one size; without them nothing is known of the pixels.
        """
        self._intake.add(Batch(self._clock(), request_ids, answers, images if self._subject.image_novelty else ()))

    def fold(self) -> None:
        """Counts what was taken, all of it that `observe` had before the call; does not raise."""
        with self._folding:
            batches, dropped = self._intake.take()
            if dropped:
                self._metrics.unobserved("full", dropped)
                _logger.warning("%d answers came faster than they could be counted, and are not", dropped)
            self._fold.add(batches, self._clock())

    def label(self, labels: Sequence[Label]) -> list[Labelled]:
        """What becomes of each label, in their order; accepted ones count from now on.

        Raises:
            JournalOff, JournalUnavailable: nothing was taken.
        """
        if self._journal is None:
            raise JournalOff("answers are not kept for labels: TRUSTSERVE_JOURNAL is off; set it to a database")
        self.fold()
        try:
            results = self._journal.label(labels)
        except JournalAway as error:
            raise JournalUnavailable(f"{error}; nothing of these labels was taken, send them again") from error
        for result in results:
            self._metrics.feedback(result.outcome)
            if result.outcome is Outcome.accepted:
                self._count(result)
        return results

    def count_invalid(self, labels: int) -> None:
        """Counts labels that are none."""
        for _ in range(labels):
            self._metrics.feedback("invalid")

    def report(self, asked: str) -> MonitorReport:
        """Every figure of the window that is asked for, over all workers.

        Raises:
            ParameterInvalid: that is no window.
        """
        seconds = window_seconds(asked)
        self.fold()
        now = self._clock()
        sums, since = self._memory.sums(seconds, now)
        span = Span(window=asked, since=datetime.fromtimestamp(since, UTC), until=datetime.fromtimestamp(now, UTC))
        alarms = self._memory.alarms.report(self._memory.other_alarms())
        return monitor_report(self._subject, span, sums, self._labelled(since, now), alarms, self._minimum)

    def _count(self, labelled: Labelled) -> None:
        label, answer, subject = labelled.label, labelled.answer, self._subject
        assert answer is not None, "an accepted label has an answer"
        correct = label.class_index == answer.class_index
        self._metrics.labelled(
            LabelledAnswer(
                model=answer.model,
                version=answer.version,
                target=label.class_index,
                correct=correct,
                trusted=answer.trusted,
                trust=answer.trust,
                confidence=answer.confidence,
                question_answer=float(
                    question_answer_trust(answer.confidence, correct, subject.reward, subject.penalty)
                ),
                question_answer_estimate=answer.question_answer_estimate,
                weight=1 / label.sampling_probability,
                lag_seconds=max(0.0, labelled.received_at - answer.answered_at),
            )
        )
        if (answer.model, answer.version) == (self._model, self._version):
            probability = label.sampling_probability
            raised = self._memory.alarms.observe_label(correct, answer.trusted, probability, self._clock())
            self._fold.show_alarms(raised)

    def _labelled(self, since: float, until: float) -> LabelledColumns | Literal["journal off", "journal away"]:
        if self._journal is None:
            return "journal off"
        try:
            return self._journal.labelled(self._model, self._version, since, until)
        except JournalAway as error:
            _logger.warning("the journal cannot be read: %s", error)
            return "journal away"
