"""Processor time, memory and open files of every worker, whichever is asked.

They carry the worker's number: added up, the processor time of a killed worker would be missing from the sum, and
Prometheus would take the drop for a restart of all.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from prometheus_client import Metric, ProcessCollector
from prometheus_client.registry import Collector


def process_file(folder: Path, slot: int) -> Path:
    """Where the worker in a slot leaves its process id while it lives."""
    return folder / f"worker-{slot}.pid"


class WorkerProcesses(Collector):
    """The usual `process_*` figures with a label `worker`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        families: dict[str, Metric] = {}
        for slot, pid in self._living():
            for found in ProcessCollector(pid=lambda pid=pid: pid, registry=None).collect():  # type: ignore[misc]
                family = families.setdefault(found.name, Metric(found.name, found.documentation, found.type))
                family.samples += [sample._replace(labels={"worker": slot}) for sample in found.samples]
        return families.values()

    def _living(self) -> Iterator[tuple[str, str]]:
        for file in sorted(self._folder.glob("worker-*.pid")):
            yield file.stem.removeprefix("worker-"), file.read_text()
