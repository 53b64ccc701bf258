"""Figures of one model: a version of it counts beside any other in the same process.

Counters outlive the bundle that they count for, as Prometheus wants it; gauges go away with it.
"""

import threading
from collections import Counter
from collections.abc import Iterable

from prometheus_client import CollectorRegistry

from service.inference.bundle import Bundle, read_reference
from service.monitor.alarm_metrics import AlarmMetrics
from service.monitor.answer_metrics import AnswerMetrics, AnswerSeries
from service.monitor.gauges import ModelGauge
from service.monitor.labelled_metrics import LabelledAnswer, LabelledMetrics
from service.monitor.labels import MODEL, ModelLabels, class_labels
from service.monitor.reference_metrics import ReferenceMetrics
from service.monitor.window import Observations
from trust.manifest import Threshold


class ModelFamilies:
    """Families of all models, and which of them are open."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.answers = AnswerMetrics(registry)
        self.labelled = LabelledMetrics(registry)
        self.reference = ReferenceMetrics(registry)
        self.alarms = AlarmMetrics(registry)
        # Every worker serves the same bundle: their sum would be the number of workers.
        self.info = ModelGauge(
            "trust_model_info",
            "1 for the model that answers.",
            (*MODEL, "provider"),
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._lock = threading.Lock()
        self._open: Counter[ModelLabels] = Counter()

    def opened(self, model: ModelLabels) -> None:
        with self._lock:
            self._open[model] += 1

    def closed(self, model: ModelLabels) -> None:
        """Takes the model's gauges away, unless the same version was opened a second time and goes on."""
        with self._lock:
            self._open[model] -= 1
            if self._open[model] == 0:
                for gauges in (self.reference, self.alarms, self.info):
                    gauges.retire(model)


class ModelMetrics:
    """Counts for one open bundle; `Metrics.of` makes it, and shows each of its series at 0."""

    def __init__(self, families: ModelFamilies, bundle: Bundle, threshold: Threshold, class_series_limit: int) -> None:
        manifest = bundle.manifest
        self._families = families
        self._model = model = (manifest.name, manifest.version)
        self._is_open = True
        self._classes = classes = class_labels(manifest.classes, class_series_limit)
        self._series = AnswerSeries(families.answers, model, classes[: class_series_limit + 1])
        families.opened(model)
        families.labelled.show(model, classes)
        families.reference.show(model, classes, manifest.reference, read_reference(bundle))
        families.reference.promise(model, threshold)
        families.info.labels(*model, "+".join(sorted(set(bundle.sessions.providers.values())))).set(1)

    def observe(self, observations: Observations) -> None:
        """Counts answers."""
        self._series.observe(observations)

    def unobserved(self, reason: str, answers: int) -> None:
        """Counts answers that the monitor did not count: one of answer_metrics.UNOBSERVED."""
        self._families.answers.unobserved.labels(*self._model, reason).inc(answers)

    def feedback(self, outcome: str) -> None:
        """Counts what became of one label that was sent: one of labelled_metrics.OUTCOMES."""
        self._families.labelled.feedback(self._model, outcome)

    def labelled(self, answer: LabelledAnswer) -> None:
        """Counts one accepted label, for the version that gave the answer; its class is one of this bundle's."""
        self._families.labelled.labelled(answer, self._classes)

    def alarms(self, names: Iterable[str], threshold: float) -> None:
        """Shows which alarms there are: each at level 0, none raised. The threshold is log10(A)."""
        self._families.alarms.show(self._model, names, threshold)

    def alarm(self, name: str, level: float, active: bool) -> None:
        """Shows an alarm's state: log10 of its e-statistic, and whether it was raised and is not over."""
        if self._is_open:
            self._families.alarms.alarm(self._model, name, level, active)

    def alarm_raised(self, name: str) -> None:
        """Counts one alarm; not called again for one that a restart restored."""
        self._families.alarms.raised(self._model, name)

    def drift(self, score: str, statistic: str, value: float, threshold: float | None = None) -> None:
        """Shows a distance from the reference, such as psi of trust, over the windows of all workers."""
        if self._is_open:
            self._families.alarms.drift(self._model, score, statistic, value, threshold)

    def close(self) -> None:
        """Takes the gauges away: the bundle answers no more. What it counted stays, and late labels still count."""
        self._is_open = False
        self._families.closed(self._model)
