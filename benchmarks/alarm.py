"""False alarms and delay of the service's alarm beside river's ADWIN and Page-Hinkley; puts tables into docs/alarm.md.

    python -m benchmarks.alarm

Every stream is seeded: the same tables again, in under three minutes of one core.
"""

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray
from river.base import DriftDetector
from river.drift import ADWIN, PageHinkley

from service.monitor.alarm import EDetector
from trust.manifest import REFERENCE

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs/alarm.md"
BUNDLE = ROOT / "models/fashion-mnist"

MEAN = 0.92
"""Of the reference images."""
MU0 = 0.90
"""The least mean that is as promised: the reference's less a tolerated drop of .02."""

STATIONARY = 100_000
STATIONARY_STREAMS = 5
BEFORE, AFTER = 5_000, 40_000
CHANGED_STREAMS = 15

Floats = NDArray[np.float64]
Trust = Callable[[np.random.Generator, Floats], Floats]
"""Draws one value in [0, 1] for each wanted mean."""
Watch = Callable[[float], bool]
"""Takes a value; True where it alarms, after which it begins anew."""


def correctness(generator: np.random.Generator, means: Floats) -> Floats:
    """Of labelled answers: 0 or 1."""
    return (generator.uniform(size=means.size) < means).astype(float)


def bimodal(generator: np.random.Generator, means: Floats) -> Floats:
    """Sure around .96, unsure around .36; what changes is how often which."""
    sure = generator.uniform(size=means.size) < (means - 0.36) / 0.60
    return np.where(sure, generator.beta(96, 4, means.size), generator.beta(36, 64, means.size))


def one_hump(generator: np.random.Generator, means: Floats) -> Floats:
    """A beta distribution that leans on 1."""
    return generator.beta(10 * means, 10 * (1 - means))


def four_values(generator: np.random.Generator, means: Floats) -> Floats:
    """Trust after a calibration map of four steps: mostly 1 or .95, else .7 or .2."""
    good = generator.uniform(size=means.size) < (means - 0.45) / 0.525
    return np.where(good, generator.choice([1.0, 0.95], means.size), generator.choice([0.7, 0.2], means.size))


def bundle_trust(generator: np.random.Generator, means: Floats) -> Floats:
    """Trust of the committed bundle's reference images, right and wrong answers mixed to the mean."""
    with np.load(BUNDLE / REFERENCE) as rows:
        trust, right = rows["trust"].astype(float), rows["predicted"] == rows["target"]
    high, low = trust[right], trust[~right]
    share = (means - low.mean()) / (high.mean() - low.mean())
    chosen = generator.uniform(size=means.size) < share
    return np.where(chosen, generator.choice(high, means.size), generator.choice(low, means.size))


DISTRIBUTIONS: Mapping[str, Trust] = {
    "right or wrong": correctness,
    "bimodal": bimodal,
    "one hump": one_hump,
    "four values": four_values,
    "the bundle's": bundle_trust,
}


def e_detector() -> Watch:
    """The service's alarm, restarted after each alarm."""
    detector = EDetector(MU0)

    def watch(value: float) -> bool:
        alarm = detector.update(value)
        if alarm:
            detector.restart()
        return alarm

    return watch


def of_river(make: Callable[[], DriftDetector]) -> Callable[[], Watch]:
    """A detector of river, which restarts itself."""

    def start() -> Watch:
        detector = make()

        def watch(value: float) -> bool:
            detector.update(value)
            return bool(detector.drift_detected)

        return watch

    return start


CONTENDERS: Mapping[str, Callable[[], Watch]] = {
    "e-detector, A = 100,000": e_detector,
    "ADWIN, delta .002 (default)": of_river(ADWIN),
    "ADWIN, delta 1e-5": of_river(lambda: ADWIN(delta=1e-5)),
    "Page-Hinkley, threshold 50 (default)": of_river(lambda: PageHinkley(mode="down")),
    "Page-Hinkley, threshold 100": of_river(lambda: PageHinkley(mode="down", threshold=100)),
}

SWING = np.sin(np.arange(STATIONARY) * 2 * math.pi / 10_000)
STATIONARY_MEANS: Mapping[str, Floats] = {
    f"Mean {MU0:.2f}, the least that is promised": np.full(STATIONARY, MU0),
    f"Mean {MEAN:.2f}, as on the reference images": np.full(STATIONARY, MEAN),
    "Mean between .90 and .96, to and fro every 10,000 answers": 0.93 + 0.03 * SWING,
}
# How many answers at the reference's mean come first, and the means after the change.
CHANGES: Mapping[str, tuple[int, Floats]] = {
    "Mean falls by .05 at once": (BEFORE, np.full(AFTER, MEAN - 0.05)),
    "Mean falls by .10 at once": (BEFORE, np.full(AFTER, MEAN - 0.10)),
    "Mean falls by .10 in the course of 20,000 answers": (BEFORE, MEAN - np.minimum(0.1, np.arange(AFTER) / 200_000)),
    "Mean lower by .05 from the very first answer on": (0, np.full(AFTER, MEAN - 0.05)),
}


def main() -> None:
    """Prints the tables and puts them into the document."""
    parts = [f"**False alarms in {STATIONARY:,} answers**, mean of {STATIONARY_STREAMS} streams."]
    parts += [f"{title}:\n\n{false_alarms(means)}" for title, means in STATIONARY_MEANS.items()]
    parts += [
        f'**Answers from the change to the alarm**, median of {CHANGED_STREAMS} streams; "none" where half of them or '
        f"more had no alarm within {AFTER:,}."
    ]
    parts += [f"{title}:\n\n{delays(*change)}" for title, change in CHANGES.items()]
    text = "\n\n".join(parts)
    print(text)
    marked = f"<!-- alarm -->\n\n{text}\n\n<!-- /alarm -->"
    DOCUMENT.write_text(re.sub("<!-- alarm -->.*<!-- /alarm -->", lambda _: marked, DOCUMENT.read_text(), flags=re.S))


def false_alarms(means: Floats) -> str:
    """Table of the alarms in as many answers as there are means, which are all as promised."""

    def cell(start: Callable[[], Watch], of: Trust) -> str:
        alarms = 0
        for seed in range(STATIONARY_STREAMS):
            watch = start()
            alarms += sum(watch(value) for value in of(np.random.default_rng(seed), means).tolist())
        return f"{alarms / STATIONARY_STREAMS:.1f}"

    return _table(cell)


def delays(before: int, means: Floats) -> str:
    """Table of the median delays, missed changes counted as endless."""

    def cell(start: Callable[[], Watch], of: Trust) -> str:
        found = []
        for seed in range(CHANGED_STREAMS):
            generator, watch = np.random.default_rng(seed), start()
            for value in of(generator, np.full(before, MEAN)).tolist():
                watch(value)
            values = of(generator, means).tolist()
            found.append(next((count for count, value in enumerate(values, 1) if watch(value)), math.inf))
        return f"{median(found):,.0f}" if median(found) < math.inf else "none"

    return _table(cell)


def _table(cell: Callable[[Callable[[], Watch], Trust], str]) -> str:
    """A row for each contender, a column for each distribution."""
    header = ["", *DISTRIBUTIONS]
    rows = [[name, *(cell(start, of) for of in DISTRIBUTIONS.values())] for name, start in CONTENDERS.items()]
    rule = ["---"] + ["--:"] * len(DISTRIBUTIONS)
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, rule, *rows))


if __name__ == "__main__":
    main()
