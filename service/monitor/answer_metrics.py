"""Figures of every answer, none of which needs a target: counts, sums, sums of squares and fixed bins.

The label-free NetTrustScore is rate(trust_question_answer_sum_total) / rate(trust_predictions_total), its spread comes
from the squares. All of them add up over workers, replicas and time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram

from service.answer import Answer
from service.monitor.labels import DECISIONS, MODEL, UNIT_BINS, ModelLabels


class AnswerMetrics:
    """Families of series; `bind` gives those of one model."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, (*MODEL, *labels), registry=registry)

        def histogram(name: str, text: str) -> Histogram:
            return Histogram(name, text, (*MODEL, "decision"), buckets=UNIT_BINS, registry=registry)

        self.predictions = counter("trust_predictions", "Answers, by decision.", "decision")
        self.trust = histogram("trust_probability", "Calibrated P(the answer is correct).")
        self.confidence = histogram("trust_confidence", "The classifier's confidence.")
        self.trust_squares = counter("trust_probability_squares_sum", "Sum of squares of trust.")
        self.question_answer = counter(
            "trust_question_answer_sum", "Sum of expected question-answer trust, without targets."
        )
        self.question_answer_squares = counter(
            "trust_question_answer_squares_sum", "Sum of squares of expected question-answer trust, without targets."
        )
        self.p_values = counter("trust_novelty_p_value_sum", "Sum of p-values of novelty; mean 1/2 where all is usual.")
        self.p_value_answers = counter("trust_novelty_answers", "Answers that have a p-value of novelty.")
        self.class_predictions = counter(
            "trust_class_predictions", "Answers, by predicted class and decision.", "predicted", "decision"
        )
        self.class_trust = counter("trust_class_probability_sum", "Sum of trust, by predicted class.", "predicted")
        self.class_question_answer = counter(
            "trust_class_question_answer_sum",
            "Sum of expected question-answer trust, without targets, by predicted class.",
            "predicted",
        )


class AnswerSeries:
    """The series of one model, found once: `observe` stands in every request's way and looks nothing up.

    Args:
        families: what they belong to.
        model: name and version; each of its series is there at once, at 0.
        classes: label value of each class, by class index.
    """

    def __init__(self, families: AnswerMetrics, model: ModelLabels, classes: Sequence[str]) -> None:
        self._by_decision = {
            trusted: _DecisionSeries(
                families.predictions.labels(*model, decision),
                families.trust.labels(*model, decision),
                families.confidence.labels(*model, decision),
            )
            for trusted, decision in DECISIONS.items()
        }
        self._by_class = [
            _ClassSeries(
                {trusted: families.class_predictions.labels(*model, name, DECISIONS[trusted]) for trusted in DECISIONS},
                families.class_trust.labels(*model, name),
                families.class_question_answer.labels(*model, name),
            )
            for name in classes
        ]
        self._trust_squares = families.trust_squares.labels(*model)
        self._question_answer = families.question_answer.labels(*model)
        self._question_answer_squares = families.question_answer_squares.labels(*model)
        self._p_values = families.p_values.labels(*model)
        self._p_value_answers = families.p_value_answers.labels(*model)

    def observe(self, answer: Answer, question_answer: float, p_value: float | None) -> None:
        """Counts one answer."""
        trust = answer.trust
        decision = self._by_decision[answer.trusted]
        decision.predictions.inc()
        decision.trust.observe(trust)
        decision.confidence.observe(answer.confidence)
        self._trust_squares.inc(trust * trust)
        self._question_answer.inc(question_answer)
        self._question_answer_squares.inc(question_answer * question_answer)
        predicted = self._by_class[answer.class_index]
        predicted.predictions[answer.trusted].inc()
        predicted.trust.inc(trust)
        predicted.question_answer.inc(question_answer)
        if p_value is not None:
            self._p_values.inc(p_value)
            self._p_value_answers.inc()


@dataclass(frozen=True, slots=True)
class _DecisionSeries:
    predictions: Counter
    trust: Histogram
    confidence: Histogram


@dataclass(frozen=True, slots=True)
class _ClassSeries:
    predictions: dict[bool, Counter]
    trust: Counter
    question_answer: Counter
