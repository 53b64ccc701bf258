"""Rounds of measurement: in each, every server by turns, alone on the machine, at each number of connections.

On a machine that others use too a figure wanders; what is compared is measured minutes apart, within one round.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.serving.load import LoadFailed, put_under_load
from benchmarks.serving.pairs import SUBJECTS, expected_answers
from benchmarks.serving.process import Expected, Running, ServerFailed, running
from benchmarks.serving.servers import ROOT, SERVERS, Form, Server

ALONE = "onnxruntime"
WARM_UP_SECONDS = 1.0
WARM_UPS = 10
START_SECONDS = 4
"""What starting and ending a server takes, about."""

Figures = dict[str, float]
"""By name: ready_seconds, memory_mb, and for each number of connections rate@8, p50@8, p99@8, mean@8, failed@8 and
cpu@8, the processor time of an answer; times in milliseconds."""
Round = dict[str, dict[str, Figures]]
"""Figures by subject and server."""
Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What is measured, and for how long."""

    subjects: Mapping[str, tuple[str, ...]]
    """Servers of each subject, ALONE among them for onnxruntime without one."""
    connections: tuple[int, ...]
    """Of each, those that the subject stands."""
    rounds: int
    pace: float = 1.0
    """Of the seconds of each measurement."""

    def connections_of(self, subject: str) -> tuple[int, ...]:
        """As many as the subject is worth measuring with."""
        return tuple(count for count in self.connections if count <= SUBJECTS[subject].most_connections)

    def seconds(self) -> float:
        """About how long it takes, by what starting takes on two cores."""
        total = 0.0
        for subject, servers in self.subjects.items():
            loads = len(self.connections_of(subject)) * self.pace * SUBJECTS[subject].seconds
            total += len(servers) * (loads + WARM_UP_SECONDS + START_SECONDS)
        return self.rounds * total


def measure(plan: Plan, say: Say) -> Iterator[Round]:
    """One round after the other; what fails is said and left out."""
    say("Bundles and photographs first, where they are not there yet.")
    bundles = {name: SUBJECTS[name].bundle() for name in plan.subjects}
    images = {name: expected_answers(bundles[name], SUBJECTS[name].images()) for name in plan.subjects}
    for number in range(plan.rounds):
        found: Round = {}
        for subject, servers in plan.subjects.items():
            found[subject] = {}
            # To and fro, so that no server always follows the same one.
            for name in servers if number % 2 == 0 else servers[::-1]:
                try:
                    figures = _measure_one(plan, subject, name, bundles[subject], images[subject])
                except (ServerFailed, LoadFailed) as error:
                    say(f"{number + 1}/{plan.rounds} {subject} {name}: LEFT OUT, {error}")
                    continue
                found[subject][name] = figures
                say(f"{number + 1}/{plan.rounds} {subject} {name}: {_line(figures)}")
        yield found


def _measure_one(plan: Plan, subject: str, name: str, bundle: Path, images: Mapping[Path, Expected]) -> Figures:
    seconds = plan.pace * SUBJECTS[subject].seconds
    connections = plan.connections_of(subject)
    if name == ALONE:
        return measure_alone(bundle, seconds * len(connections))
    return measure_server(SERVERS[name], bundle, images, connections, seconds)


def measure_server(
    server: Server, bundle: Path, images: Mapping[Path, Expected], connections: Sequence[int], seconds: float
) -> Figures:
    """Figures of one server, started for this and ended after it.

    Raises:
        ServerFailed: it does not start, or answers wrongly.
    """
    with running(server, bundle, images) as process:
        if server.workers > 1:
            # The first has answered; the others should have as long.
            time.sleep(process.ready_seconds)
        _warm_up(process, server.form, list(images))
        figures = {"ready_seconds": process.ready_seconds}
        for count in connections:
            before = process.cpu_seconds()
            load = put_under_load(process.url, server.form, list(images), count, seconds)
            figures |= {f"{name}@{count}": value for name, value in asdict(load).items()}
            figures[f"cpu@{count}"] = 1000 * (process.cpu_seconds() - before) / max(1, load.answers)
        figures["memory_mb"] = process.memory_bytes() / 1e6
    return figures


def _warm_up(server: Running, form: Form, images: Sequence[Path]) -> None:
    """Until a second of load went without a failure: of several workers one may open later than the others."""
    for _ in range(WARM_UPS):
        load = put_under_load(server.url, form, images, 32, WARM_UP_SECONDS)
        server.finish(form, images[0])
        if load.failed == 0:
            return
    raise ServerFailed(f"{load.failed} requests of the last {WARM_UP_SECONDS} s of warming up failed")


def measure_alone(bundle: Path, seconds: float) -> Figures:
    """Figures of both networks without a server."""
    command = [sys.executable, "-m", "benchmarks.serving.alone", str(bundle), str(seconds)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    figures: Figures = json.loads(done.stdout)
    return figures


def _line(figures: Mapping[str, float]) -> str:
    rates = [f"{figures[key]:,.0f}/s at {key[5:]}" for key in figures if key.startswith("rate@")]
    rates += [f"{figures['rate']:,.0f}/s"] if "rate" in figures else []
    failed = sum(int(value) for key, value in figures.items() if key.startswith("failed@"))
    return ", ".join([*rates, f"p50 {figures['p50@1']:.2f} ms"] if "p50@1" in figures else rates) + (
        f", {failed} NOT ANSWERED" if failed else ""
    )
