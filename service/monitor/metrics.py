"""What Prometheus reads: counts, sums and histograms of requests and answers.

Sums and counts are counters, so that replicas add up: the NetTrustScore without targets is
rate(trust_question_answer_sum_total) / rate(trust_predictions_total), its spread comes from the squares.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from service.answer import Answer
from service.bundle import Bundle
from service.errors import ServiceError, error_classes
from trust.score import question_answer_trust

DECISIONS = ("trust", "untrust")
UNIT_BINS = tuple(i / 20 for i in range(1, 21))
SECONDS_BINS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
BATCH_BINS = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """The metrics of one app, in a registry of their own.

    Args:
        reward, penalty: exponents of question-answer trust (Wong et al.).
    """

    def __init__(self, reward: float, penalty: float) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self._reward, self._penalty = reward, penalty

        predictions = Counter("trust_predictions", "Answers, by decision.", ["decision"], registry=registry)
        self._predictions = {decision: predictions.labels(decision) for decision in DECISIONS}
        self._class_predictions = Counter(
            "trust_class_predictions", "Answers, by predicted class.", ["predicted"], registry=registry
        )
        self._trust = Histogram(
            "trust_probability", "Calibrated P(the answer is correct).", buckets=UNIT_BINS, registry=registry
        )
        self._confidence = Histogram(
            "trust_confidence", "The classifier's confidence.", buckets=UNIT_BINS, registry=registry
        )
        self._question_answer_sum = Counter(
            "trust_question_answer_sum", "Sum of expected question-answer trust, without targets.", registry=registry
        )
        self._question_answer_squares_sum = Counter(
            "trust_question_answer_squares_sum",
            "Sum of squares of expected question-answer trust, without targets.",
            registry=registry,
        )
        self._request_seconds = Histogram(
            "trust_request_seconds", "Time to answer POST /predict.", buckets=SECONDS_BINS, registry=registry
        )
        self.batch_size = Histogram("trust_batch_size", "Images in a batch.", buckets=BATCH_BINS, registry=registry)
        self._queue_length = Gauge("trust_queue_length", "Images that wait for a batch.", registry=registry)
        errors = Counter("trust_errors", "POST /predict without an answer, by reason.", ["reason"], registry=registry)
        self._errors = {error.reason: errors.labels(error.reason) for error in error_classes()}
        self.captures = Gauge("trust_captures", "Images kept for investigation.", registry=registry)
        self.captures_dropped = Counter(
            "trust_captures_dropped", "Images to be captured that could not be.", ["reason"], registry=registry
        )
        self._model_info = Gauge(
            "trust_model_info", "1 for the model that answers.", ["name", "version", "provider"], registry=registry
        )

    def describe(self, bundle: Bundle, queue_length: Callable[[], float]) -> None:
        """Names the model that answers from now on, and shows each of its classes, at 0."""
        manifest = bundle.manifest
        providers = sorted(set(bundle.sessions.providers.values()))
        self._model_info.labels(manifest.name, manifest.version, "+".join(providers)).set(1)
        self._classes = [self._class_predictions.labels(name) for name in manifest.classes]
        self._queue_length.set_function(queue_length)

    @contextmanager
    def request(self) -> Iterator[None]:
        """Times one request to /predict and counts the error it ends in, if it does."""
        with self._request_seconds.time():
            try:
                yield
            except Exception as error:
                reason = error.reason if isinstance(error, ServiceError) else ServiceError.reason
                self._errors[reason].inc()
                raise

    def observe(self, answer: Answer) -> None:
        """Counts one answer."""
        quality = float(question_answer_trust(answer.confidence, answer.trust, self._reward, self._penalty))
        self._predictions["trust" if answer.trusted else "untrust"].inc()
        self._classes[answer.class_index].inc()
        self._trust.observe(answer.trust)
        self._confidence.observe(answer.confidence)
        self._question_answer_sum.inc(quality)
        self._question_answer_squares_sum.inc(quality**2)
