"""What monitoring costs an answer on the request path, in microseconds: the whole, and each part by itself.

    python -m benchmarks.monitoring [answers]

The parts run in a quiet loop in one process, with the journal's writer beside it as in the service. p99 tells of the
machine too: run it where nothing else runs, or say so.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from service.answer import Answer, threshold_in_force
from service.bundle import load_bundle
from service.journal.journal import open_journal
from service.journal.records import AnswerRecord
from service.monitor.live import Live
from service.monitor.memory import Memory
from service.monitor.metrics import Metrics
from service.monitor.subject import Subject
from service.monitor.window import Observation
from service.settings import Settings
from trust.score import question_answer_trust_of_one

MODEL = Path("models/fashion-mnist")
ANSWERS = 10_000
BURST, PAUSE_SECONDS = 50, 0.01
MEAN_LIMIT, P99_LIMIT = 30.0, 50.0


def main(count: int) -> None:
    """Prints a line for each part."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(model=MODEL, state=Path(folder), journal_buffer=10 * count)
        bundle = load_bundle(MODEL, "cpu", 1)
        threshold = threshold_in_force(None, bundle)
        metrics = Metrics(settings.class_series_limit, settings.max_queue)
        metrics.describe(bundle, threshold)
        subject = Subject.of(bundle, threshold, settings)
        memory = Memory(Path(folder) / "state", len(subject.names), subject.new_alarms)
        journal = open_journal(str(settings.journal_url), buffer=10 * count)
        live = Live(subject, memory, metrics, journal, settings.monitor_minimum)
        answers = reference_like_answers(subject, count)
        novelty, alarms = subject.novelty, subject.new_alarms()
        assert novelty is not None, "the bundle measures novelty"
        parts: dict[str, Callable[[int], object]] = {
            "everything": lambda i: live.observe(f"request-{i}", answers[i]),
            "nothing": lambda _: None,
            "question-answer trust": lambda i: question_answer_trust_of_one(answers[i].confidence, answers[i].trust),
            "p-value of novelty": lambda i: novelty.p_value(answers[i].novelty or 0.0),
            "metrics": lambda i: metrics.observe(answers[i], 0.5, 0.5),
            "window": lambda _: memory.append(Observation(1e9, 3, True, 0.9, 0.9, 0.8, 0.5)),
            "alarms": lambda i: alarms.observe(answers[i], 0.5, 1e9),
            "journal": lambda i: journal.record(record_of(f"part-{i}", answers[i])),
        }
        print(f"{'microseconds an answer':24}    mean     p50     p99")
        for name, part in parts.items():
            mean, median, p99 = measure(part, count)
            print(f"{name:24} {mean:7.1f} {median:7.1f} {p99:7.1f}")
            if name == "everything":
                verdict = "within" if mean < MEAN_LIMIT and p99 < P99_LIMIT else "NOT within"
                print(f"{'':24} {verdict} {MEAN_LIMIT:g} mean, {P99_LIMIT:g} p99")
        journal.close()
        memory.close()


def measure(part: Callable[[int], object], count: int) -> tuple[float, float, float]:
    """Mean, median and 99th percentile of a call, in microseconds; the first tenth warms up.

    In bursts, between which the journal's writer has its turn: flat out, no service takes answers.
    """
    times = np.empty(count)
    clock = time.perf_counter_ns
    for i in range(count):
        if i % BURST == 0:
            time.sleep(PAUSE_SECONDS)
        started = clock()
        part(i)
        times[i] = clock() - started
    times = times[count // 10 :] / 1000
    return float(times.mean()), float(np.median(times)), float(np.quantile(times, 0.99))


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


def record_of(request_id: str, answer: Answer) -> AnswerRecord:
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
