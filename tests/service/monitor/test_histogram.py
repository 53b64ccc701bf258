"""Many values at once are the same as each of them."""

import math

import numpy as np
import prometheus_client.values
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.values import MultiProcessValue

from service.monitor.histogram import BulkHistogram
from service.monitor.labels import UNIT_BINS
from tests.exposition import samples, series

# Sums of multiples of 1/1024 are exact in whatever order. Edges of the bins are not, so they are single values.
VALUES = {
    "random": (np.random.default_rng(0).integers(0, 1025, 500) / 1024).tolist(),
    "none": [],
    "an edge": [0.15],
    "the least": [0.0],
    "beyond the last bin": [0.5, 1.5, math.inf],
    "no number": [0.5, math.nan, 0.25],
}


@pytest.fixture(params=["in memory", "in a file"])
def shown(request, tmp_path, monkeypatch):
    """What a registry shows, of one process or of several workers."""
    if request.param == "in memory":
        return lambda registry: samples(generate_latest(registry).decode())
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    monkeypatch.setattr(prometheus_client.values, "ValueClass", MultiProcessValue(lambda: 0))

    def pooled(_):
        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(tmp_path))
        return samples(generate_latest(registry).decode())

    return pooled


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES.keys())
def test_many_values_at_once_are_as_each_by_itself(values, shown):
    registry = CollectorRegistry()
    histogram = BulkHistogram("seen", "Seen.", ["how"], buckets=UNIT_BINS, registry=registry)
    at_once, by_one = histogram.labels("at once"), histogram.labels("one by one")
    at_once.observe_many(values)
    for value in values:
        by_one.observe(value)
    found = shown(registry)
    for (name, labels), value in found.items():
        if ("how", "at once") in labels and not name.endswith("_created"):
            others = dict(labels) | {"how": "one by one"}
            assert value == pytest.approx(found[series(name, **others)], rel=0, abs=0, nan_ok=True)
    assert found[series("seen_count", how="at once")] == sum(not math.isnan(value) for value in values)
