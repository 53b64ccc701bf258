"""onnxruntime without a server: both networks over pixels that are already decoded, each way one may run them.

python -m benchmarks.serving.alone BUNDLE SECONDS prints a line of JSON: the latency at batch 1 and the images a second
of the best way, and which it was. What finds the best way is not its figure: the best of many noisy figures is too good
to be true. So half of the time goes into finding it and the other half into measuring it.
"""

import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from benchmarks.serving.servers import CORES
from trust.manifest import CLASSIFIER, ORACLE, read_manifest

BATCHES = (1, 8, 32)
LEAST_CALLS = 3
"""Of each way and batch, however long they take: the best of many ways that were each called once is a lucky one."""

Run = Callable[[NDArray[np.uint8]], object]


def main(bundle: Path, seconds: float) -> None:
    """Measures each way for about so many seconds in all."""
    manifest = read_manifest(bundle)
    channels, height, width = manifest.preprocess.input_size
    images = np.random.default_rng(0).integers(0, 256, (max(BATCHES), height, width, channels), np.uint8)
    ways = _ways(bundle, [CLASSIFIER, *([ORACLE] if manifest.oracle_outputs else [])])
    each = seconds / 2 / len(ways) / len(BATCHES)
    latency: dict[str, float] = {}
    rate: dict[tuple[str, int], float] = {}
    for name, (run, at_once) in ways.items():
        for batch in BATCHES:
            times, rate[name, batch] = _measure(run, images[:batch], at_once, each)
            if batch == 1 and at_once == 1:
                latency[name] = float(np.median(times))
    fastest, (most, batch) = min(latency, key=latency.__getitem__), max(rate, key=rate.__getitem__)

    def alone(name: str) -> float:
        return float(np.median(_measure(ways[name][0], images[:1], 1, seconds / 6)[0])) * 1000

    figures = {
        "p50@1": alone(fastest),
        "parallel_p50@1": alone("in parallel" if "in parallel" in ways else fastest),
        "rate": _measure(ways[most][0], images[:batch], ways[most][1], seconds / 6)[1],
        "best_latency": fastest,
        "best_rate": f"{most}, batch {batch}",
    }
    print(json.dumps(figures))


def _ways(bundle: Path, files: list[str]) -> dict[str, tuple[Run, int]]:
    """Each way of running the networks, and how many of it run at once."""
    single = [_session(bundle / file, 1) for file in files]
    several = [_session(bundle / file, CORES) for file in files]
    helper = ThreadPoolExecutor(1)

    def in_turn(sessions: list[Any]) -> Run:
        return lambda images: [session.run(None, {"image": images}) for session in sessions]

    def in_parallel(images: NDArray[np.uint8]) -> object:
        other = helper.submit(single[1].run, None, {"image": images})
        return single[0].run(None, {"image": images}), other.result()

    ways: dict[str, tuple[Run, int]] = {
        "in turn, a thread": (in_turn(single), 1),
        "in turn, all cores": (in_turn(several), 1),
        "in turn, a thread, on every core": (in_turn(single), CORES),
    }
    return ways | ({"in parallel": (in_parallel, 1)} if len(files) > 1 else {})


def _session(path: Path, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _measure(run: Run, images: NDArray[np.uint8], at_once: int, seconds: float) -> tuple[list[float], float]:
    """Seconds of each call, and images a second."""
    run(images)

    def until(deadline: float) -> list[float]:
        times: list[float] = []
        while (began := time.perf_counter()) < deadline or len(times) < LEAST_CALLS:
            run(images)
            times.append(time.perf_counter() - began)
        return times

    with ThreadPoolExecutor(at_once) as pool:
        began = time.perf_counter()
        done = list(pool.map(until, [began + seconds] * at_once))
        elapsed = time.perf_counter() - began
    times = [each for part in done for each in part]
    return times, len(times) * len(images) / elapsed


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
