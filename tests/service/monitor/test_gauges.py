"""Gauges go away with their model, also where several workers share files."""

import prometheus_client.values
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.values import MultiProcessValue

from service.monitor.gauges import ModelGauge
from service.monitor.labels import MODEL
from service.monitor.pool import Pool, pooled_registry
from tests.exposition import samples, series

OLD, NEW = ("tiny", "1"), ("tiny", "2")


@pytest.fixture
def gauge_of_worker(tmp_path, monkeypatch):
    """A gauge as the worker of a slot has it."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))

    def gauge(slot: int, mode: str) -> ModelGauge:
        monkeypatch.setattr(prometheus_client.values, "ValueClass", MultiProcessValue(lambda: slot))
        return ModelGauge("level", "Level.", (*MODEL, "alarm"), registry=None, multiprocess_mode=mode)

    return gauge


@pytest.mark.parametrize("mode", ["livemax", "livemostrecent"])
def test_workers_show_a_models_gauge_until_the_last_of_them_closed_it(tmp_path, gauge_of_worker, mode):
    first, second = gauge_of_worker(0, mode), gauge_of_worker(1, mode)

    def shown():
        found = samples(generate_latest(pooled_registry(Pool(tmp_path, 0))).decode())
        return {labels: value for (name, labels), value in found.items() if name == "level"}

    old, new = (series("level", model=name, version=version, alarm="input")[1] for name, version in (OLD, NEW))
    for gauge in (first, second):
        gauge.labels(*OLD, "input").set(-2.0)
        gauge.labels(*NEW, "input").set(1.0)
    first.retire(OLD)
    second.labels(*OLD, "input").set(-2.0)
    assert shown() == {old: -2, new: 1}
    second.retire(OLD)
    assert shown() == {new: 1}
    first.labels(*OLD, "input").set(3.0)
    assert shown() == {old: 3, new: 1}


def test_one_process_shows_no_retired_gauge():
    registry = CollectorRegistry()
    gauge = ModelGauge("level", "Level.", MODEL, registry=registry)
    gauge.labels(*OLD).set(1.0)
    gauge.labels(*NEW).set(2.0)
    gauge.retire(OLD)
    assert samples(generate_latest(registry).decode()) == {series("level", model="tiny", version="2"): 2}
