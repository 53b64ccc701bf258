"""Alarms and drift as gauges, for the dashboards; what they say is decided elsewhere."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter

from service.monitor.gauges import ModelGauge
from service.monitor.labels import MODEL, ModelLabels


class AlarmMetrics:
    """State of the alarms and latest figures of drift."""

    def __init__(self, registry: CollectorRegistry) -> None:
        # Each worker watches its own share of the traffic: the worst of them is what the person on call must see.
        self._level = ModelGauge(
            "trust_alarm_level",
            "log10 of the alarm's e-statistic.",
            (*MODEL, "alarm"),
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._threshold = ModelGauge(
            "trust_alarm_threshold",
            "Level at which an alarm is raised, log10.",
            MODEL,
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._active = ModelGauge(
            "trust_alarm_active",
            "1 from an alarm until it is over.",
            (*MODEL, "alarm"),
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._raised = Counter("trust_alarms", "Alarms raised.", (*MODEL, "alarm"), registry=registry)
        # Computed by one worker over the windows of all: the latest holds.
        self._drift = ModelGauge(
            "trust_drift",
            "Distance of this instance's window from the reference.",
            (*MODEL, "score", "statistic"),
            registry=registry,
            multiprocess_mode="livemostrecent",
        )
        self._drift_threshold = ModelGauge(
            "trust_drift_threshold",
            "Distance that sampling alone exceeds in one window of a hundred.",
            (*MODEL, "score", "statistic"),
            registry=registry,
            multiprocess_mode="livemostrecent",
        )

    def show(self, model: ModelLabels, alarms: Iterable[str], threshold: float) -> None:
        """Shows which alarms there are: none raised, none active."""
        self._threshold.labels(*model).set(threshold)
        for alarm in alarms:
            self.alarm(model, alarm, level=0.0, active=False)
            self._raised.labels(*model, alarm)

    def alarm(self, model: ModelLabels, alarm: str, level: float, active: bool) -> None:
        self._level.labels(*model, alarm).set(level)
        self._active.labels(*model, alarm).set(active)

    def raised(self, model: ModelLabels, alarm: str) -> None:
        self._raised.labels(*model, alarm).inc()

    def drift(self, model: ModelLabels, score: str, statistic: str, value: float, threshold: float | None) -> None:
        self._drift.labels(*model, score, statistic).set(value)
        if threshold is not None:
            self._drift_threshold.labels(*model, score, statistic).set(threshold)

    def retire(self, model: ModelLabels) -> None:
        """Takes a model's gauges away."""
        for gauge in (self._level, self._threshold, self._active, self._drift, self._drift_threshold):
            gauge.retire(model)
