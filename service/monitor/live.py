"""The live monitor of one bundle: takes every answer and every label; what is heavy happens beside the requests."""

import logging
import math
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Literal

from service.answer import Answer
from service.errors import JournalOff, JournalUnavailable
from service.journal.journal import Journal
from service.journal.records import AnswerRecord, JournalAway, Label, Labelled, LabelledColumns, Outcome
from service.monitor.labelled_metrics import LabelledAnswer
from service.monitor.memory import Memory
from service.monitor.metrics import Metrics
from service.monitor.report import monitor_report, window_seconds
from service.monitor.schemas import MonitorReport, Span
from service.monitor.subject import Subject
from service.monitor.window import Observation
from trust.score import question_answer_trust_of_one

_logger = logging.getLogger("trustserve")


class Live:
    """Takes answers on the event loop, and labels in threads: all but `observe` blocks.

    Args:
        subject: what is monitored.
        memory: of its windows and alarms.
        metrics: that know the bundle already.
        journal: where answers wait for labels; None: there is none.
        minimum: fewest answers, or labels, that a figure rests on.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        subject: Subject,
        memory: Memory,
        metrics: Metrics,
        journal: Journal | None,
        minimum: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._subject, self._memory, self._metrics, self._journal = subject, memory, metrics, journal
        self._minimum, self._clock = minimum, clock
        self._alarms, self._novelty = memory.alarms, subject.novelty
        self._model, self._version = subject.manifest.name, subject.manifest.version
        self._last_class = len(subject.names) - 1

    def observe(self, request_id: str, answer: Answer) -> None:
        """Takes one answer: never blocks, and whatever goes wrong here costs the caller nothing."""
        try:
            self._observe(request_id, answer)
        except Exception:
            _logger.exception("the answer to request %s is not counted", request_id)

    def label(self, labels: Sequence[Label]) -> list[Labelled]:
        """What becomes of each label, in their order; accepted ones count from now on.

        Raises:
            JournalOff, JournalUnavailable: nothing was taken.
        """
        if self._journal is None:
            raise JournalOff("answers are not kept for labels: TRUSTSERVE_JOURNAL is off; set it to a database")
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
        seconds, now = window_seconds(asked), self._clock()
        sums, since = self._memory.sums(seconds, now)
        span = Span(window=asked, since=datetime.fromtimestamp(since, UTC), until=datetime.fromtimestamp(now, UTC))
        alarms = self._alarms.report(self._memory.other_alarms())
        return monitor_report(self._subject, span, sums, self._labelled(since, now), alarms, self._minimum)

    def _observe(self, request_id: str, answer: Answer) -> None:
        subject, now = self._subject, self._clock()
        trust, confidence = answer.trust, answer.confidence
        question_answer = question_answer_trust_of_one(confidence, trust, subject.reward, subject.penalty)
        p_value = None
        if self._novelty is not None and answer.novelty is not None:
            p_value = self._novelty.p_value(answer.novelty)
        self._metrics.observe(answer, question_answer, p_value)
        row = min(answer.class_index, self._last_class)
        noted = math.nan if p_value is None else p_value
        self._memory.append(Observation(now, row, answer.trusted, trust, confidence, question_answer, noted))
        for name in self._alarms.observe(answer, p_value, now):
            self._raise(name)
        if self._journal is not None:
            self._journal.record(
                AnswerRecord(
                    request_id=request_id,
                    answered_at=now,
                    model=self._model,
                    version=self._version,
                    class_index=answer.class_index,
                    confidence=confidence,
                    trust=trust,
                    threshold=answer.threshold,
                    trusted=answer.trusted,
                    question_answer_estimate=question_answer,
                    head_inputs=answer.head_inputs.tobytes(),
                    novelty=answer.novelty,
                )
            )

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
                question_answer=question_answer_trust_of_one(
                    answer.confidence, correct, subject.reward, subject.penalty
                ),
                question_answer_estimate=answer.question_answer_estimate,
                weight=1 / label.sampling_probability,
                lag_seconds=max(0.0, labelled.received_at - answer.answered_at),
            )
        )
        if (answer.model, answer.version) == (self._model, self._version) and self._alarms.observe_label(
            correct, answer.trusted, label.sampling_probability, self._clock()
        ):
            self._raise("correctness")

    def _labelled(self, since: float, until: float) -> LabelledColumns | Literal["journal off", "journal away"]:
        if self._journal is None:
            return "journal off"
        try:
            return self._journal.labelled(self._model, self._version, since, until)
        except JournalAway as error:
            _logger.warning("the journal cannot be read: %s", error)
            return "journal away"

    def _raise(self, name: str) -> None:
        watch = self._alarms.watches[name]
        self._metrics.alarm_raised(name)
        self._metrics.alarm(name, watch.level, watch.active)
        _logger.warning(
            "alarm %s of %s %s: its watched mean fell below %.4f", name, self._model, self._version, watch.mu0
        )
