"""Figures of the answers whose target came later, by feedback: counts and sums that only grow.

With w the weight of a label (1 / its sampling probability), Q the realised question-answer trust and Qh its estimate
without the target, the weighted sums carry the prediction-powered estimate: its rectifier is
(sum wQ - sum wQh) / sum w, the spread of that comes from the sums with w squared.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram

from service.monitor.labels import CORRECT, DECISIONS, MODEL, OTHER, ModelLabels

OUTCOMES = ("accepted", "repeated", "contradicting", "unknown", "invalid", "expired")
LAG_BINS = (1.0, 10.0, 60.0, 600.0, 3600.0, 6 * 3600.0, 86400.0, 3 * 86400.0, 7 * 86400.0, 30 * 86400.0)


@dataclass(frozen=True, slots=True)
class LabelledAnswer:
    """An answer of the service and what turned out to be true."""

    model: str
    version: str
    target: int
    correct: bool
    trusted: bool
    trust: float
    confidence: float
    question_answer: float
    """Realised: with the target."""
    question_answer_estimate: float
    """As it was expected when the answer was given."""
    weight: float
    """1 / the probability with which this answer was chosen for a label; at least 1."""
    lag_seconds: float
    """From answer to label; not negative, whatever the clocks of two replicas say."""


class LabelledMetrics:
    """Counts labels. Not in a request's way: series are looked up as labels come.

    A label counts for the model that gave the answer, which may be an older version than the one that serves.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, (*MODEL, *labels), registry=registry)

        self._feedback = counter("trust_feedback", "Labels sent, by what became of them.", "outcome")
        self._answers = counter(
            "trust_labelled", "Answers with a target, by decision and correctness.", "decision", "correct"
        )
        self._confidence = counter(
            "trust_labelled_confidence_sum", "Sum of confidence of answers with a target.", "correct"
        )
        self._trust = counter("trust_labelled_probability_sum", "Sum of trust of answers with a target.", "correct")
        self._question_answer = counter(
            "trust_labelled_question_answer_sum", "Sum of realised question-answer trust Q."
        )
        self._question_answer_squares = counter(
            "trust_labelled_question_answer_squares_sum", "Sum of squares of realised question-answer trust Q."
        )
        self._weight = counter("trust_labelled_weight_sum", "Sum of weights w of labels.")
        self._weight_squares = counter("trust_labelled_weight_squares_sum", "Sum of w^2.")
        self._weighted = counter("trust_labelled_weighted_question_answer_sum", "Sum of w Q.")
        self._weighted_estimate = counter(
            "trust_labelled_weighted_question_answer_estimate_sum", "Sum of w Qh, Qh the estimate of Q without target."
        )
        self._weight_squared = counter("trust_labelled_weight_squared_question_answer_sum", "Sum of w^2 Q.")
        self._weight_squared_estimate = counter(
            "trust_labelled_weight_squared_question_answer_estimate_sum", "Sum of w^2 Qh."
        )
        self._weight_squared_rectifier_squares = counter(
            "trust_labelled_weight_squared_rectifier_squares_sum", "Sum of w^2 (Q - Qh)^2."
        )
        self._class_answers = counter(
            "trust_class_labelled", "Answers with a target, by target and correctness.", "target", "correct"
        )
        self._class_question_answer = counter(
            "trust_class_labelled_question_answer_sum", "Sum of realised question-answer trust, by target.", "target"
        )
        self._lag = Histogram(
            "trust_label_lag_seconds", "From answer to label.", MODEL, buckets=LAG_BINS, registry=registry
        )

    def show(self, model: ModelLabels, classes: Sequence[str]) -> None:
        """Shows every series of a model at 0: of a counter that is not seen there the first increase is lost.

        Args:
            model: name and version.
            classes: label value of each class, by class index.
        """
        for outcome in OUTCOMES:
            self._feedback.labels(*model, outcome)
        for correct in CORRECT.values():
            for decision in DECISIONS.values():
                self._answers.labels(*model, decision, correct)
            self._confidence.labels(*model, correct)
            self._trust.labels(*model, correct)
            for name in classes:
                self._class_answers.labels(*model, name, correct)
        for name in classes:
            self._class_question_answer.labels(*model, name)
        for counter in (
            self._question_answer,
            self._question_answer_squares,
            self._weight,
            self._weight_squares,
            self._weighted,
            self._weighted_estimate,
            self._weight_squared,
            self._weight_squared_estimate,
            self._weight_squared_rectifier_squares,
        ):
            counter.labels(*model)
        self._lag.labels(*model)

    def feedback(self, model: ModelLabels, outcome: str) -> None:
        """Counts what became of one label that was sent."""
        self._feedback.labels(*model, outcome).inc()

    def labelled(self, answer: LabelledAnswer, classes: Sequence[str]) -> None:
        """Counts one accepted label; classes as in `show`, of the bundle among whose names the label was looked up."""
        model = (answer.model, answer.version)
        correct = CORRECT[answer.correct]
        q, q_estimate, w = answer.question_answer, answer.question_answer_estimate, answer.weight
        self._answers.labels(*model, DECISIONS[answer.trusted], correct).inc()
        self._confidence.labels(*model, correct).inc(answer.confidence)
        self._trust.labels(*model, correct).inc(answer.trust)
        self._question_answer.labels(*model).inc(q)
        self._question_answer_squares.labels(*model).inc(q**2)
        self._weight.labels(*model).inc(w)
        self._weight_squares.labels(*model).inc(w**2)
        self._weighted.labels(*model).inc(w * q)
        self._weighted_estimate.labels(*model).inc(w * q_estimate)
        self._weight_squared.labels(*model).inc(w**2 * q)
        self._weight_squared_estimate.labels(*model).inc(w**2 * q_estimate)
        self._weight_squared_rectifier_squares.labels(*model).inc((w * (q - q_estimate)) ** 2)
        target = _class_label(classes, answer.target)
        self._class_answers.labels(*model, target, correct).inc()
        self._class_question_answer.labels(*model, target).inc(q)
        self._lag.labels(*model).observe(answer.lag_seconds)


def _class_label(classes: Sequence[str], index: int) -> str:
    return classes[index] if index < len(classes) else OTHER
