"""How long a bundle's graphs take, each alone and both at the same time, as a service runs them."""

import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from training.study.table import Column, Figure, Row, StudyTable
from training.wrap.frozen import open_session
from trust.manifest import CLASSIFIER, GOLDEN, ORACLE
from trust.preprocess import Pixels

BATCHES = (1, 32)
REPEATS = 200
_WARM_UP = 5

Seconds = NDArray[np.float64]


def time_in_turn(
    calls: Mapping[str, Callable[[], object]], repeats: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, Seconds]:
    """Seconds of each call, (repeats,), in turns: what else the machine does disturbs all alike.

    Args:
        calls: by name.
        repeats: of each.
        clock: seconds.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            began = clock()
            call()
            seconds[name].append(clock() - began)
    return {name: np.array(taken) for name, taken in seconds.items()}


def timing_row(name: str, seconds: Seconds, base: Seconds) -> Row:
    """Median and quartiles, and how often the median of the base it is."""
    low, median, high = np.quantile(seconds, [0.25, 0.5, 0.75])
    ratio = float(median / np.median(base))
    return Row(name, {"seconds": Figure((float(median),), (float(low), float(high))), "ratio": Figure((ratio,))})


def timing_tables(bundle: Path, repeats: int = REPEATS) -> list[StudyTable]:
    """Classifier, oracle, one after the other and both at the same time, in batches of one and of many."""
    classifier, oracle = (_open(bundle / file) for file in (CLASSIFIER, ORACLE))
    with np.load(bundle / GOLDEN) as golden:
        images = golden["image"]
    rows = []
    with ThreadPoolExecutor(1) as other_thread:
        for batch in BATCHES:
            pixels = np.resize(images, (batch, *images.shape[1:]))
            calls = _calls(classifier, oracle, pixels, other_thread)
            time_in_turn(calls, _WARM_UP)
            taken = time_in_turn(calls, repeats)
            rows += [timing_row(f"{name}, batch of {batch}", of, taken["classifier"]) for name, of in taken.items()]
    columns = (Column("seconds", "milliseconds", 1000, 3), Column("ratio", "classifiers", 1, 2))
    note = (
        f"Median and quartiles of {repeats} runs in turns by onnxruntime, one thread a graph, on a machine of "
        f"{os.cpu_count()} cores; the last column in units of the classifier alone."
    )
    if oracle is None:
        note += " The bundle's oracle is no graph of its own: there is nothing to run beside the classifier."
    return [StudyTable("Time of one batch.", "what runs", columns, tuple(rows), note)]


def _calls(
    classifier: Any, oracle: Any | None, pixels: Pixels, other_thread: ThreadPoolExecutor
) -> dict[str, Callable[[], object]]:
    def run(session: Any) -> object:
        return session.run(None, {"image": pixels})

    calls: dict[str, Callable[[], object]] = {"classifier": lambda: run(classifier)}
    if oracle is None:
        return calls

    def both_at_once() -> object:
        beside = other_thread.submit(run, oracle)
        return run(classifier), beside.result()

    return calls | {
        "oracle": lambda: run(oracle),
        "one after the other": lambda: (run(classifier), run(oracle)),
        "both at the same time": both_at_once,
    }


def _open(graph: Path) -> Any | None:
    return open_session(onnx.load(graph)) if graph.is_file() else None
