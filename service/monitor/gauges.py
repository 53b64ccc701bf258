"""Gauges that tell of one model, and go away with it."""

import math
from collections.abc import Iterable

from prometheus_client import Gauge, Metric

from service.monitor.labels import ModelLabels

_RETIRED = -math.inf
"""No gauge of the service is ever that; and of several workers the greatest is shown, so that any that goes on wins."""


class ModelGauge(Gauge):
    """The library's, with labels that begin with model and version, and a way to take those of one model away.

    The library can remove a series from memory, but not from the file that workers share: there a series that is no
    more has a value that is not shown.
    """

    def retire(self, model: ModelLabels) -> None:
        """Takes a model's series away, until they are set again."""
        with self._lock:
            found = [labels for labels in self._metrics if tuple(labels[: len(model)]) == model]
        for labels in found:
            self.labels(*labels).set(_RETIRED)

    def collect(self) -> Iterable[Metric]:
        return without_retired(super().collect())


def without_retired(families: Iterable[Metric]) -> Iterable[Metric]:
    """Families as they are to be shown."""
    for family in families:
        family.samples = [sample for sample in family.samples if sample.value != _RETIRED]
        yield family
