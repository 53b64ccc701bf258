"""Figures of every answer, none of which needs a target: counts, sums, sums of squares and fixed bins.

The label-free NetTrustScore is rate(trust_question_answer_sum_total) / rate(trust_predictions_total), its spread comes
from the squares. All of them add up over workers, replicas and time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from prometheus_client import CollectorRegistry, Counter

from service.monitor.histogram import BulkHistogram
from service.monitor.labels import DECISIONS, MODEL, UNIT_BINS, ModelLabels
from service.monitor.window import Observations, Sums

UNOBSERVED = ("full", "failed")
"""Why an answer is missing from the figures: they came faster than the fold takes them, or it could not count them."""


class AnswerMetrics:
    """Families of series; `bind` gives those of one model."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, (*MODEL, *labels), registry=registry)

        def histogram(name: str, text: str) -> BulkHistogram:
            return BulkHistogram(name, text, (*MODEL, "decision"), buckets=UNIT_BINS, registry=registry)

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
        self.image_p_values = counter(
            "trust_image_novelty_p_value_sum", "Sum of p-values of image novelty; mean 1/2 where all is usual."
        )
        self.image_p_value_answers = counter(
            "trust_image_novelty_answers", "Answers that have a p-value of image novelty."
        )
        self.unobserved = counter("trust_unobserved", "Answers missing from these figures, by reason.", "reason")
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
    """The series of one model, found once.

    Args:
        families: what they belong to.
        model: name and version; each of its series is there at once, at 0.
        classes: label values of the classes that are told apart, in the order of `Observations.class_index`.
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
        self._p_values = families.p_value_answers.labels(*model), families.p_values.labels(*model)
        self._image_p_values = families.image_p_value_answers.labels(*model), families.image_p_values.labels(*model)
        for reason in UNOBSERVED:
            families.unobserved.labels(*model, reason)

    def observe(self, observations: Observations) -> None:
        """Counts answers: each series is added to once, however many there are."""
        sums = Sums.of(len(self._by_class), observations)
        for trusted, series in self._by_decision.items():
            chosen = observations.trusted == trusted
            series.predictions.inc(int(chosen.sum()))
            series.trust.observe_many(observations.trust[chosen])
            series.confidence.observe_many(observations.confidence[chosen])
        self._trust_squares.inc(sums.total("trust_squares"))
        self._question_answer.inc(sums.total("question_answer"))
        self._question_answer_squares.inc(sums.total("question_answer_squares"))
        for counters, sums_of in ((self._p_values, sums.p_values), (self._image_p_values, sums.image_p_values)):
            for counter, addend in zip(counters, sums_of.tolist(), strict=True):
                counter.inc(addend)
        self._count_classes(sums)

    def _count_classes(self, sums: Sums) -> None:
        answers = {trusted: sums.by_class("answers", trusted) for trusted in DECISIONS}
        trust, question_answer = sums.by_class("trust"), sums.by_class("question_answer")
        # Only those that came: there may be a thousand classes.
        for index in np.flatnonzero(sums.by_class("answers")).tolist():
            predicted = self._by_class[index]
            for trusted, counter in predicted.predictions.items():
                counter.inc(float(answers[trusted][index]))
            predicted.trust.inc(float(trust[index]))
            predicted.question_answer.inc(float(question_answer[index]))


@dataclass(frozen=True, slots=True)
class _DecisionSeries:
    predictions: Counter
    trust: BulkHistogram
    confidence: BulkHistogram


@dataclass(frozen=True, slots=True)
class _ClassSeries:
    predictions: dict[bool, Counter]
    trust: Counter
    question_answer: Counter
