"""What Prometheus reads: every family of the service, and the one door through which the rest of it counts.

Sums and counts are counters, so that workers and replicas add up; ratios belong to PromQL. Figures about answers carry
`model` and `version`, and are counted by `ModelMetrics`; those of the process (requests, errors, batches, queue,
journal, captures) do not.
"""

import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import AbstractContextManager

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from service.errors import FeedbackError, OperatorError, ServiceError, error_classes
from service.inference.bundle import Bundle
from service.journal.records import JournalCounts
from service.monitor.histogram import BulkHistogram
from service.monitor.journal_metrics import JournalMetrics
from service.monitor.model_metrics import ModelFamilies, ModelMetrics
from service.monitor.pool import Pool, pooled_registry
from trust.manifest import Threshold

SECONDS_BINS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
BATCH_BINS = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """The metrics of one app, in a registry of their own.

    Args:
        class_series_limit: most classes with series of their own; all others count as "(other)".
        queue_capacity: most images that wait for their answer.
        pool: this worker's place where there are several, already joined.
    """

    def __init__(self, class_series_limit: int, queue_capacity: int, pool: Pool | None = None) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        registry = CollectorRegistry(auto_describe=True)
        self.shown = _with_process(registry) if pool is None else pooled_registry(pool)
        """What to show Prometheus: of all workers, where there are several."""
        self._class_series_limit = class_series_limit
        self._models = ModelFamilies(registry)
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
        self.shadow_dropped = Counter(
            "trust_shadow_dropped", "Images that the shadow was to see and could not.", registry=registry
        )
        self._folding = threading.Lock()
        self._took: deque[float] = deque()
        self._request_seconds = BulkHistogram(
            "trust_request_seconds", "Time to answer POST /predict.", buckets=SECONDS_BINS, registry=registry
        )
        self.batch_size = Histogram("trust_batch_size", "Images in a batch.", buckets=BATCH_BINS, registry=registry)
        # Each worker has a queue of its own.
        self.queue_length = Gauge(
            "trust_queue_length", "Images that wait for their answer.", registry=registry, multiprocess_mode="livesum"
        )
        Gauge(
            "trust_queue_capacity",
            "Images that may wait for their answer.",
            registry=registry,
            multiprocess_mode="livesum",
        ).set(queue_capacity)
        errors = Counter("trust_errors", "POST /predict without an answer, by reason.", ["reason"], registry=registry)
        reasons = [error.reason for error in error_classes() if not issubclass(error, FeedbackError | OperatorError)]
        self._errors = {reason: errors.labels(reason) for reason in reasons}

    def of(self, bundle: Bundle, threshold: Threshold) -> ModelMetrics:
        """Counts for a bundle, until it is closed; shows its reference, its promise and each of its series, at 0."""
        return ModelMetrics(self._models, bundle, threshold, self._class_series_limit)

    def request(self) -> AbstractContextManager[None]:
        """Times one request to /predict and counts the error it ends in, if it does."""
        return _Request(self._took, self._errors)

    def fold(self) -> None:
        """Counts the times of the requests since the last call; from any thread, before figures are read or so."""
        with self._folding:
            self._request_seconds.observe_many([self._took.popleft() for _ in range(len(self._took))])

    def journal(self, counts: JournalCounts) -> None:
        """Catches up with the journal's own counts; to be called about once a second."""
        self._journal.journal(counts)


class _Request:
    """A class of its own: a generator as context manager takes several times as long to enter and leave."""

    __slots__ = ("_began", "_errors", "_took")

    def __init__(self, took: deque[float], errors: Mapping[str, Counter]) -> None:
        self._took, self._errors = took, errors

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self._took.append(time.perf_counter() - self._began)
        if isinstance(error, Exception):
            reason = error.reason if isinstance(error, ServiceError) else ServiceError.reason
            self._errors[reason].inc()


def _with_process(registry: CollectorRegistry) -> CollectorRegistry:
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    return registry
