"""What live traffic is compared with, as gauges: the figures of the bundle's reference images, and its promise.

Kolmogorov-Smirnov and Wasserstein distances need no more than the reference's cumulative shares over the bins of the
live histograms: with F and G cumulative shares at the same edges they are max |F - G| and mean |F - G|.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from prometheus_client import CollectorRegistry
from prometheus_client.utils import floatToGoString

from service.monitor.gauges import ModelGauge
from service.monitor.labels import MODEL, UNIT_BINS, ModelLabels
from trust.manifest import ReferenceSummary, Threshold

SCORES = ("trust", "confidence")


class ReferenceMetrics:
    """Gauges that stand still while a bundle serves, and go away with it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str, *labels: str) -> ModelGauge:
            # Every worker serves the same bundle and shows the same value: their maximum is that value.
            return ModelGauge(name, text, (*MODEL, *labels), registry=registry, multiprocess_mode="livemax")

        self._statistics = gauge("trust_reference", "Figures of the bundle's reference images.", "statistic")
        self._cumulative_shares = gauge(
            "trust_reference_cumulative_share", "Share of reference images whose score is at most le.", "score", "le"
        )
        self._class_shares = gauge(
            "trust_reference_class_share", "Share of reference images, by predicted class.", "predicted"
        )
        self._promise = gauge("trust_promise", "What the threshold in force promises; absent: nothing.", "statistic")

    def show(
        self,
        model: ModelLabels,
        classes: Sequence[str],
        summary: ReferenceSummary,
        rows: Mapping[str, NDArray[np.generic]],
    ) -> None:
        """Shows a bundle's reference.

        Args:
            model: name and version.
            classes: label value of each class, by class index.
            summary: of the manifest.
            rows: columns of reference.npz, (M,) each: trust, confidence and predicted, where it has them.
        """
        for statistic, value in summary.model_dump().items():
            self._statistics.labels(*model, statistic).set(value)
        for score in SCORES:
            if score in rows:
                for edge, share in zip(UNIT_BINS, cumulative_shares(rows[score]), strict=True):
                    # Written as in the live histograms, so that PromQL can join on it.
                    le = floatToGoString(edge)  # type: ignore[no-untyped-call]
                    self._cumulative_shares.labels(*model, score, le).set(share)
        if "predicted" in rows:
            predicted = rows["predicted"].astype(int).tolist()
            counts = Counter(classes[index] for index in predicted)
            for name in classes:
                self._class_shares.labels(*model, name).set(counts[name] / len(predicted))

    def promise(self, model: ModelLabels, threshold: Threshold) -> None:
        """Shows what the threshold in force promises: nothing where the operator chose it."""
        promised = {"risk": threshold.risk, "confidence": threshold.confidence, "coverage": threshold.coverage}
        for statistic, value in promised.items():
            if value is not None:
                self._promise.labels(*model, statistic).set(value)

    def retire(self, model: ModelLabels) -> None:
        """Takes a model's gauges away."""
        for gauge in (self._statistics, self._cumulative_shares, self._class_shares, self._promise):
            gauge.retire(model)


def cumulative_shares(scores: ArrayLike) -> list[float]:
    """Share of scores (M,) at or below each upper edge of the 20 bins of [0, 1].

    >>> cumulative_shares([0.02, 0.05, 0.93, 1.0])[:2]    # an edge belongs to the bin below it
    [0.5, 0.5]
    >>> cumulative_shares([0.02, 0.05, 0.93, 1.0])[-3:]
    [0.5, 0.75, 1.0]
    """
    ascending = np.sort(np.asarray(scores, float))
    shares: list[float] = (np.searchsorted(ascending, UNIT_BINS, side="right") / ascending.size).tolist()
    return shares
