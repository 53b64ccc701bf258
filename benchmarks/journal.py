"""What the journal costs a request, and how fast it writes and labels: `python -m benchmarks.journal URL`.

The journal at the URL (sqlite:///FILE or postgresql://...) should be a new one: it is filled.
"""

import sys
import time
import uuid

import numpy as np

from service.journal.journal import Journal, open_journal
from service.journal.records import AnswerRecord, Label

ANSWERS = 50_000
LABELS = 5_000


def main(url: str) -> None:
    """Prints one line a figure."""
    journal = open_journal(url, buffer=ANSWERS)
    while not journal.counts.up:
        time.sleep(0.01)
    answers = [_answer() for _ in range(ANSWERS)]
    began = time.perf_counter()
    seconds = _record(journal, answers)
    while journal.counts.written < ANSWERS:
        time.sleep(0.01)
    elapsed = time.perf_counter() - began
    median, p99 = 1e6 * np.quantile(seconds, [0.5, 0.99])
    print(f"record: {1e6 * seconds.mean():.2f} microseconds mean, {median:.2f} median, {p99:.2f} at p99")
    print(f"written: {ANSWERS / elapsed:,.0f} answers a second, from the first to the commit of the last")
    began = time.perf_counter()
    for start in range(0, LABELS, 1_000):
        journal.label([Label(answer.request_id, 3) for answer in answers[start : start + 1_000]])
    print(f"labelled: {LABELS / (time.perf_counter() - began):,.0f} labels a second, 1,000 at once")
    began = time.perf_counter()
    for answer in answers[LABELS : LABELS + 100]:
        journal.label([Label(answer.request_id, 3)])
    print(f"labelled: {10 * (time.perf_counter() - began):.1f} milliseconds a label, one at once")
    began = time.perf_counter()
    found = journal.labelled("fashion-mnist", "14f7c165fd95", 0, time.time() + 1)
    print(f"labelled answers read: {len(found.trust):,} of {ANSWERS:,} in {time.perf_counter() - began:.2f} s")
    journal.close()


def _record(journal: Journal, answers: list[AnswerRecord]) -> np.ndarray:
    """Seconds of each call."""
    seconds = np.empty(len(answers))
    for i, answer in enumerate(answers):
        began = time.perf_counter()
        journal.record(answer)
        seconds[i] = time.perf_counter() - began
    return seconds


def _answer() -> AnswerRecord:
    return AnswerRecord(
        request_id=uuid.uuid4().hex,
        answered_at=time.time(),
        model="fashion-mnist",
        version="14f7c165fd95",
        class_index=3,
        confidence=0.9,
        trust=0.8,
        threshold=0.848,
        trusted=False,
        question_answer_estimate=0.74,
        head_inputs=bytes(16),
        novelty=0.3,
    )


if __name__ == "__main__":
    main(sys.argv[1])
