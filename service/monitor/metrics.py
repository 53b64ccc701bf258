"""What Prometheus reads: every family of the service, and the one door through which the rest of it counts.

Sums and counts are counters, so that workers and replicas add up; ratios belong to PromQL. Figures about answers carry
`model` and `version`; those of the process (requests, errors, batches, queue, journal, captures) do not.
"""

from collections.abc import Iterable, Iterator
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
from service.bundle import Bundle, read_reference
from service.errors import FeedbackError, ServiceError, error_classes
from service.journal.records import JournalCounts
from service.monitor.alarm_metrics import AlarmMetrics
from service.monitor.answer_metrics import AnswerMetrics, AnswerSeries
from service.monitor.journal_metrics import JournalMetrics
from service.monitor.labelled_metrics import LabelledAnswer, LabelledMetrics
from service.monitor.labels import class_labels
from service.monitor.pool import Pool, pooled_registry
from service.monitor.reference_metrics import ReferenceMetrics
from trust.manifest import Threshold

SECONDS_BINS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
BATCH_BINS = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """The metrics of one app, in a registry of their own.

    Args:
        class_series_limit: most classes with series of their own; all others count as "(other)".
        queue_capacity: most images that wait for a batch.
        pool: this worker's place where there are several, already joined.
    """

    def __init__(self, class_series_limit: int, queue_capacity: int, pool: Pool | None = None) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        registry = CollectorRegistry(auto_describe=True)
        self.shown = _with_process(registry) if pool is None else pooled_registry(pool)
        """What to show Prometheus: of all workers, where there are several."""
        self._class_series_limit = class_series_limit
        self._answers = AnswerMetrics(registry)
        self._labelled = LabelledMetrics(registry)
        self._reference = ReferenceMetrics(registry)
        self._alarms = AlarmMetrics(registry)
        self._journal = JournalMetrics(registry)
        # All workers keep their images in one folder: who counted last knows.
        self.captures = Gauge(
            "trust_captures",
            "Images kept for investigation.",
            registry=registry,
            multiprocess_mode="livemostrecent",
        )
        self.captures_dropped = Counter(
            "trust_captures_dropped", "Images to be captured that could not be.", ["reason"], registry=registry
        )
        self._request_seconds = Histogram(
            "trust_request_seconds", "Time to answer POST /predict.", buckets=SECONDS_BINS, registry=registry
        )
        self.batch_size = Histogram("trust_batch_size", "Images in a batch.", buckets=BATCH_BINS, registry=registry)
        # Each worker has a queue of its own.
        self.queue_length = Gauge(
            "trust_queue_length", "Images that wait for a batch.", registry=registry, multiprocess_mode="livesum"
        )
        Gauge(
            "trust_queue_capacity",
            "Images that may wait for a batch.",
            registry=registry,
            multiprocess_mode="livesum",
        ).set(queue_capacity)
        errors = Counter("trust_errors", "POST /predict without an answer, by reason.", ["reason"], registry=registry)
        reasons = [error.reason for error in error_classes() if not issubclass(error, FeedbackError)]
        self._errors = {reason: errors.labels(reason) for reason in reasons}
        # Every worker serves the same bundle: their sum would be the number of workers.
        self._model_info = Gauge(
            "trust_model_info",
            "1 for the model that answers.",
            ["model", "version", "provider"],
            registry=registry,
            multiprocess_mode="livemax",
        )

    def describe(self, bundle: Bundle, threshold: Threshold) -> None:
        """Counts for this bundle from now on; shows its reference, its promise and each of its series, at 0."""
        manifest = bundle.manifest
        self._model = model = (manifest.name, manifest.version)
        classes = class_labels(manifest.classes, self._class_series_limit)
        self._series = AnswerSeries(self._answers, model, classes)
        self._labelled.show(model, classes)
        self._reference.show(model, classes, manifest.reference, read_reference(bundle))
        self._reference.promise(model, threshold)
        self._model_info.labels(*model, "+".join(sorted(set(bundle.sessions.providers.values())))).set(1)

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

    def observe(self, answer: Answer, question_answer: float, p_value: float | None = None) -> None:
        """Counts one answer.

        Args:
            answer: of the bundle described.
            question_answer: its expected question-answer trust, without target.
            p_value: of its novelty, where it has one.
        """
        self._series.observe(answer, question_answer, p_value)

    def feedback(self, outcome: str) -> None:
        """Counts what became of one label that was sent: one of labelled_metrics.OUTCOMES."""
        self._labelled.feedback(self._model, outcome)

    def labelled(self, answer: LabelledAnswer) -> None:
        """Counts one accepted label, for the model that gave the answer."""
        self._labelled.labelled(answer)

    def alarms(self, names: Iterable[str], threshold: float) -> None:
        """Shows which alarms there are: each at level 0, none raised. The threshold is log10(A)."""
        self._alarms.show(self._model, names, threshold)

    def alarm(self, name: str, level: float, active: bool) -> None:
        """Shows an alarm's state: log10 of its e-statistic, and whether it was raised and is not over."""
        self._alarms.alarm(self._model, name, level, active)

    def alarm_raised(self, name: str) -> None:
        """Counts one alarm; not called again for one that a restart restored."""
        self._alarms.raised(self._model, name)

    def drift(self, score: str, statistic: str, value: float, threshold: float | None = None) -> None:
        """Shows a distance from the reference, such as psi of trust, over the windows of all workers."""
        self._alarms.drift(self._model, score, statistic, value, threshold)

    def journal(self, counts: JournalCounts) -> None:
        """Catches up with the journal's own counts; to be called about once a second, by one thread."""
        self._journal.journal(counts)


def _with_process(registry: CollectorRegistry) -> CollectorRegistry:
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    return registry
