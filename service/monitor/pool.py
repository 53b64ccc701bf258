"""One set of figures for several workers: each counts in files of its own, whoever is asked adds them up.

The files belong to a slot, not to a process: who replaces a worker that was killed takes its slot and counts on from
where it was. So no counter drops, and files do not pile up. Gauges tell of a living process and start anew.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import prometheus_client.values
from prometheus_client import CollectorRegistry, Metric, PlatformCollector
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.values import MultiProcessValue

from service.monitor.gauges import without_retired
from service.monitor.process_metrics import WorkerProcesses, process_file


@dataclass(frozen=True)
class Pool:
    """The place of one worker among those of a service."""

    folder: Path
    """Of all workers; empty when the service starts."""
    slot: int
    """Of this worker: no other that lives has it."""


def join(pool: Pool) -> None:
    """Keeps the metrics of this process, none of which may exist yet, in the pool's files."""
    leave(pool)
    process_file(pool.folder, pool.slot).write_text(str(os.getpid()))
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(pool.folder)
    prometheus_client.values.ValueClass = MultiProcessValue(lambda: pool.slot)  # type: ignore[no-untyped-call]


def leave(pool: Pool) -> None:
    """Takes the gauges of a worker that ends, or was killed, out of the pool; what it counted stays."""
    process_file(pool.folder, pool.slot).unlink(missing_ok=True)
    mark_process_dead(pool.slot, str(pool.folder))  # type: ignore[no-untyped-call]


def pooled_registry(pool: Pool) -> CollectorRegistry:
    """What to show for all workers together."""
    registry = CollectorRegistry()
    _Workers(registry, str(pool.folder))  # type: ignore[no-untyped-call]
    PlatformCollector(registry=registry)
    registry.register(WorkerProcesses(pool.folder))
    return registry


class _Workers(MultiProcessCollector):
    """The library's, which shows no gauge of a model that no worker has open."""

    def collect(self) -> Iterable[Metric]:
        return without_retired(super().collect())  # type: ignore[no-untyped-call]
