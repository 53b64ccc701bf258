"""Figures of the answers whose target came later, by feedback: counts and sums that only grow.

With w the weight of a label (1 / its sampling probability), C the confidence of its answer, t its trust, Q its realised
question-answer trust and Qh what Q was expected to be without the target, every mean over the labelled answers is a
ratio of two sums here (Hajek's), right too where reviewers choose what they look at. The sums with w squared carry its
variance, sum w^2 (x - mean)^2 / (sum w)^2, of which the square is written out.

Plain counts remain where it is labels that are counted: how many, how late, whether there are enough.
"""

from collections.abc import Callable, Mapping, Sequence
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


# Of one labelled answer: what it adds to each sum, none of it negative. The name is that of the series between
# `trust_labelled_`, or `trust_class_labelled_`, and `_sum_total`.
Terms = Mapping[str, tuple[str, Callable[[LabelledAnswer], float]]]
BY_DECISION_AND_CORRECT: Terms = {
    "weight": ("w", lambda it: it.weight),
    "weight_squares": ("w^2", lambda it: it.weight**2),
}
BY_CORRECT: Terms = {
    "weighted_confidence": ("w C", lambda it: it.weight * it.confidence),
    "weight_squared_confidence": ("w^2 C", lambda it: it.weight**2 * it.confidence),
    "weight_squared_confidence_squares": ("w^2 C^2", lambda it: (it.weight * it.confidence) ** 2),
    "weighted_probability": ("w t", lambda it: it.weight * it.trust),
    "weight_squared_probability": ("w^2 t", lambda it: it.weight**2 * it.trust),
}
OVER_ALL: Terms = {
    "weighted_question_answer": ("w Q", lambda it: it.weight * it.question_answer),
    "weight_squared_question_answer": ("w^2 Q", lambda it: it.weight**2 * it.question_answer),
    "weight_squared_question_answer_squares": ("w^2 Q^2", lambda it: (it.weight * it.question_answer) ** 2),
    "weighted_question_answer_estimate": ("w Qh", lambda it: it.weight * it.question_answer_estimate),
    "weight_squared_question_answer_estimate": ("w^2 Qh", lambda it: it.weight**2 * it.question_answer_estimate),
    "weight_squared_rectifier_squares": (
        "w^2 (Q - Qh)^2",
        lambda it: (it.weight * (it.question_answer - it.question_answer_estimate)) ** 2,
    ),
}
BY_TARGET_AND_CORRECT: Terms = {"weight": ("w", lambda it: it.weight)}
BY_TARGET: Terms = {
    "weight_squares": ("w^2", lambda it: it.weight**2),
    "weighted_question_answer": ("w Q", lambda it: it.weight * it.question_answer),
}


class LabelledMetrics:
    """Counts labels. Not in a request's way: series are looked up as labels come.

    A label counts for the model that gave the answer, which may be an older version than the one that serves.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, (*MODEL, *labels), registry=registry)

        def sums(prefix: str, terms: Terms, *labels: str) -> _Sums:
            return [
                (counter(f"{prefix}_{name}_sum", f"Sum of {formula} over answers with a target.", *labels), term)
                for name, (formula, term) in terms.items()
            ]

        self._feedback = counter("trust_feedback", "Labels sent, by what became of them.", "outcome")
        self._answers = counter(
            "trust_labelled", "Answers with a target, by decision and correctness.", "decision", "correct"
        )
        self._by_decision_and_correct = sums("trust_labelled", BY_DECISION_AND_CORRECT, "decision", "correct")
        self._by_correct = sums("trust_labelled", BY_CORRECT, "correct")
        self._over_all = sums("trust_labelled", OVER_ALL)
        self._class_answers = counter("trust_class_labelled", "Answers with a target, by target.", "target")
        self._by_target_and_correct = sums("trust_class_labelled", BY_TARGET_AND_CORRECT, "target", "correct")
        self._by_target = sums("trust_class_labelled", BY_TARGET, "target")
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
        _show(self._over_all, *model)
        for correct in CORRECT.values():
            _show(self._by_correct, *model, correct)
            for decision in DECISIONS.values():
                self._answers.labels(*model, decision, correct)
                _show(self._by_decision_and_correct, *model, decision, correct)
            for name in classes:
                _show(self._by_target_and_correct, *model, name, correct)
        for name in classes:
            self._class_answers.labels(*model, name)
            _show(self._by_target, *model, name)
        self._lag.labels(*model)

    def feedback(self, model: ModelLabels, outcome: str) -> None:
        """Counts what became of one label that was sent."""
        self._feedback.labels(*model, outcome).inc()

    def labelled(self, answer: LabelledAnswer, classes: Sequence[str]) -> None:
        """Counts one accepted label; classes as in `show`, of the bundle among whose names the label was looked up."""
        model = (answer.model, answer.version)
        decision, correct = DECISIONS[answer.trusted], CORRECT[answer.correct]
        target = _class_label(classes, answer.target)
        self._answers.labels(*model, decision, correct).inc()
        _add(answer, self._by_decision_and_correct, *model, decision, correct)
        _add(answer, self._by_correct, *model, correct)
        _add(answer, self._over_all, *model)
        self._class_answers.labels(*model, target).inc()
        _add(answer, self._by_target_and_correct, *model, target, correct)
        _add(answer, self._by_target, *model, target)
        self._lag.labels(*model).observe(answer.lag_seconds)


_Sums = list[tuple[Counter, Callable[[LabelledAnswer], float]]]


def _show(sums: _Sums, *labels: str) -> None:
    for counter, _ in sums:
        counter.labels(*labels)


def _add(answer: LabelledAnswer, sums: _Sums, *labels: str) -> None:
    for counter, term in sums:
        counter.labels(*labels).inc(term(answer))


def _class_label(classes: Sequence[str], index: int) -> str:
    return classes[index] if index < len(classes) else OTHER
