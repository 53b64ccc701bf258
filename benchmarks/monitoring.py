"""What monitoring costs an answer, in microseconds: on the request path, and all together with what happens beside it.

    python -m benchmarks.monitoring [answers]

First what the thread that answers pays for `Live.observe`, one by one and in batches, by the clock: right after it ran
the networks, while the monitor's thread folds and the journal's writes, as in the service. Then what all of it takes of
the processor, and a fold part by part. Tails tell of the machine too: run it where nothing else runs, or say so.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np

from service.inference.answer import Answer, threshold_in_force
from service.inference.bundle import Bundle, load_bundle
from service.inference.execution import Execution
from service.journal.journal import Journal, open_journal
from service.journal.records import AnswerRecord
from service.monitor.fold import IMAGES_AT_ONCE
from service.monitor.memory import Memory
from service.monitor.metrics import Metrics
from service.monitor.opening import Monitor, open_monitor
from service.monitor.subject import Subject
from service.monitor.window import Floats, Observations
from service.settings import Settings
from trust.image_statistics import CleanStatistics, image_novelty
from trust.manifest import Threshold
from trust.preprocess import Pixels
from trust.score import question_answer_trust

MODEL = Path("models/fashion-mnist")
ANSWERS = 20_000
BATCHES = (1, 16)
ON_PATH = 8_000
"""Answers by which the path is measured: between them the networks run, which takes its time."""
BURST, PAUSE_SECONDS = 48, 0.01
"""Without the networks, answers at a time, then a pause, in which the other threads have their turn."""
FOLDED = 250
"""Answers a fold, as of 1,000 a second."""
MEAN_LIMIT, P99_LIMIT = 30.0, 50.0

Observe = Callable[[Sequence[str], Sequence[Answer], Sequence[Pixels]], object]


def main(answered: int) -> None:
    """Prints a line for each figure."""
    bundle = load_bundle(MODEL, Execution(device="cpu", threads=1, networks="in_turn"))
    threshold = threshold_in_force(None, bundle)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(model=MODEL, state=Path(folder), journal_buffer=answered)
        answers = reference_like_answers(Subject.of(bundle, threshold, settings), answered)
        with closing(open_journal(str(settings.journal_url), buffer=answered)) as journal:
            path_and_all(bundle, threshold, settings, journal, answers)
            parts(bundle, threshold, settings, journal, answers)


def path_and_all(
    bundle: Bundle, threshold: Threshold, settings: Settings, journal: Journal, answers: Sequence[Answer]
) -> None:
    """What the request path pays, and what the process does."""
    images = some_images(bundle, len(answers))
    print(f"{'microseconds an answer':40}    mean     p50     p99")
    for size in BATCHES:
        monitor = open_monitor(bundle, threshold, settings, Metrics(1000, 256), journal)
        monitor.background.start()
        times = observe_all(monitor.live.observe, answers[:ON_PATH], images, size, bundle.sessions.run)
        _end(monitor, journal)
        monitor = open_monitor(bundle, threshold, settings, Metrics(1000, 256), journal)
        monitor.background.start()
        began = time.process_time()
        observe_all(monitor.live.observe, answers, images, size, _Pauses(size))
        _end(monitor, journal)
        whole = time.process_time() - began
        began = time.process_time()
        observe_all(lambda *_: None, answers, images, size, _Pauses(size))
        whole -= time.process_time() - began
        kept = "within" if times.mean() < MEAN_LIMIT and np.quantile(times, 0.99) < P99_LIMIT else "NOT within"
        show(f"request path, batches of {size}", times)
        print(f"{'':40} {kept} {MEAN_LIMIT:g} mean, {P99_LIMIT:g} p99")
        print(f"{'processor, path and beside, database too':40} {1e6 * whole / len(answers):7.1f}")


def observe_all(
    observe: Observe,
    answers: Sequence[Answer],
    images: Sequence[Pixels],
    size: int,
    before: Callable[[Sequence[Pixels]], object],
) -> np.ndarray:
    """Microseconds an answer of each call; the first tenth warms up and is left out. `before` runs before each."""
    times: list[float] = []
    for start in range(0, len(answers), size):
        batch, shown = answers[start : start + size], images[start : start + size]
        before(shown)
        request_ids = [f"{id(times)}-{start + i}" for i in range(len(batch))]
        began = time.perf_counter_ns()
        observe(request_ids, batch, shown)
        times.append((time.perf_counter_ns() - began) / 1000 / len(batch))
    return np.array(times[len(times) // 10 :])


class _Pauses:
    """Lets the other threads have their turn, now and then."""

    def __init__(self, size: int) -> None:
        self._calls = count(start=0, step=size)

    def __call__(self, images: Sequence[Pixels]) -> None:
        if next(self._calls) % BURST < len(images):
            time.sleep(PAUSE_SECONDS)


def _end(monitor: Monitor, journal: Journal) -> None:
    asyncio.run(monitor.background.close())
    while journal.counts.buffered:
        time.sleep(0.01)


def parts(
    bundle: Bundle, threshold: Threshold, settings: Settings, journal: Journal, answers: Sequence[Answer]
) -> None:
    """What a fold takes of the processor, whole and by its parts; the rest makes columns and records of the answers."""
    metrics = Metrics(1000, 256)
    live = open_monitor(bundle, threshold, settings, metrics, journal).live
    subject = Subject.of(bundle, threshold, settings)
    counted, alarms = metrics.of(bundle, threshold), subject.new_alarms()
    memory = Memory(settings.state / "parts", len(subject.names), subject.new_alarms)
    novelty, clean = subject.novelty, bundle.manifest.image_statistics
    assert novelty is not None, "the bundle measures novelty"
    assert clean is not None, "the bundle has image statistics"
    images = some_images(bundle, FOLDED)
    times: dict[str, list[float]] = {}

    def measure(part: str, work: Callable[[], object]) -> None:
        began = time.thread_time_ns()
        work()
        times.setdefault(part, []).append((time.thread_time_ns() - began) / 1000 / FOLDED)

    for start in range(0, len(answers) - FOLDED + 1, FOLDED):
        batch = answers[start : start + FOLDED]
        for i, answer in enumerate(batch):
            live.observe([f"whole-{start + i}"], [answer], images[i : i + 1])
        columns = columns_of(batch)
        novelties = np.array([answer.novelty for answer in batch], float)
        records = [record_of(f"part-{start + i}", answer) for i, answer in enumerate(batch)]
        measure(f"processor, a fold of {FOLDED}", live.fold)
        measure("  metrics", partial(counted.observe, columns))
        measure("  window", partial(memory.add, columns, time.time()))
        measure("  alarms", partial(alarms.observe, columns))
        measure("  p-values of novelty", partial(novelty.p_values, novelties))
        measure("  image statistics", partial(described, clean, images))
        measure("  journal's buffer", partial(journal.record, *records))
        time.sleep(PAUSE_SECONDS)
    for part, found in times.items():
        show(part, np.array(found[len(found) // 10 :]))
    memory.close()


def show(name: str, times: np.ndarray) -> None:
    """Prints a line; times in microseconds."""
    print(f"{name:40} {times.mean():7.1f} {np.median(times):7.1f} {np.quantile(times, 0.99):7.1f}")


def reference_like_answers(subject: Subject, count: int) -> list[Answer]:
    """Answers as varied as those to the reference images."""
    generator = np.random.default_rng(0)
    trust, confidence = generator.beta(12, 1, count).tolist(), generator.beta(12, 1, count).tolist()
    classes = generator.integers(0, len(subject.names), count).tolist()
    novelty = generator.choice(subject.novelties, count).tolist()
    threshold, probabilities = subject.threshold.value, np.zeros(10, np.float32)
    return [
        Answer(k, c, t, threshold, t >= threshold, probabilities, d, np.zeros(3, np.float32))
        for k, c, t, d in zip(classes, confidence, trust, novelty, strict=True)
    ]


def some_images(bundle: Bundle, count: int) -> list[Pixels]:
    """Images of noise as the bundle takes them, the same few again and again."""
    channels, height, width = bundle.manifest.preprocess.input_size
    few = np.random.default_rng(0).integers(0, 256, (FOLDED, height, width, channels), np.uint8)
    return [few[i % FOLDED] for i in range(count)]


def described(clean: CleanStatistics, images: Sequence[Pixels]) -> list[Floats]:
    """Their novelty by their pixels, as a fold makes it."""
    parts = (images[start : start + IMAGES_AT_ONCE] for start in range(0, len(images), IMAGES_AT_ONCE))
    return [image_novelty(clean, np.stack(part)) for part in parts]


def columns_of(answers: Sequence[Answer]) -> Observations:
    """The columns that a fold makes of answers."""
    trust, confidence = np.array([a.trust for a in answers]), np.array([a.confidence for a in answers])
    return Observations(
        at=np.full(len(answers), time.time()),
        class_index=np.array([a.class_index for a in answers]),
        trusted=np.array([a.trusted for a in answers]),
        trust=trust,
        confidence=confidence,
        question_answer=question_answer_trust(confidence, trust),
        p_value=np.random.default_rng(0).random(len(answers)),
        image_p_value=np.random.default_rng(1).random(len(answers)),
    )


def record_of(request_id: str, answer: Answer) -> AnswerRecord:
    """The record that a fold makes of an answer."""
    return AnswerRecord(
        request_id=request_id,
        answered_at=1e9,
        model="fashion-mnist",
        version="1",
        class_index=answer.class_index,
        confidence=answer.confidence,
        trust=answer.trust,
        threshold=answer.threshold,
        trusted=answer.trusted,
        question_answer_estimate=0.8,
        head_inputs=answer.head_inputs.tobytes(),
        novelty=answer.novelty,
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ANSWERS)
