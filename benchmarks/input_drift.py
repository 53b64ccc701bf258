"""How often the alarms on the images are wrong, and how soon they see images gone bad; puts tables into docs/alarm.md.

    python -m benchmarks.input_drift

The committed bundle, real test images and the 24 named kinds of corruption; seeded: the same tables again, in about
two minutes of one core.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.alarm import BUNDLE, DOCUMENT, ROOT, Floats
from service.inference.answer import answer_batch
from service.inference.bundle import Bundle, open_bundle
from service.inference.execution import Execution
from service.monitor.alarm import EDetector
from service.monitor.novelty import NoveltyReference
from service.monitor.subject import Subject
from service.settings import load_settings
from training.data.images import to_images, to_pixels
from training.data.sources import load_dataset
from training.data.torchvision_sets import FASHION_PREPROCESS
from training.shift.corruptions import TRAINED_KINDS, corrupt
from training.shift.transforms import NAMED
from trust.image_statistics import image_novelty
from trust.manifest import REFERENCE
from trust.preprocess import Pixels

IMAGES = 1_000
SEVERITIES = (1, 3)
"""Of five: hardly to be seen, and plain."""
BATCH = 100

BEFORE, AFTER = 5_000, 40_000
STREAMS = 15

RUN_LENGTH = 1_000
SHORT, MIDDLE, LONG = 100, 300, 20_000
SPLITS = 200
"""Of the reference, each with a stream of its own."""

ALARMS = {"image": "image_novelty", "input": "novelty"}
"""Alarms on the images, and the column of the reference that each ranks them by."""


@dataclass(frozen=True)
class Answers:
    """Of some images, (N,) each."""

    novelty: Floats
    image_novelty: Floats
    trust: Floats
    correct: NDArray[np.bool_]


def main(cache: Path = ROOT / "runs/.cache") -> None:
    """Prints the tables and puts them into the document."""
    test = load_dataset("fashion-mnist", FASHION_PREPROCESS, 0, cache).test
    pixels, targets = test.pixels(slice(IMAGES)), test.targets[:IMAGES]
    bundle = open_bundle(BUNDLE, Execution(device="cpu"))
    subject = Subject.of(bundle, bundle.manifest.threshold, load_settings(model=BUNDLE))
    clean = answers_to(bundle, pixels, targets)
    with np.load(BUNDLE / REFERENCE) as rows:
        novelties = {alarm: rows[column].astype(float) for alarm, column in ALARMS.items()}
    parts = [
        f"**False alarms on images like the reference's**, {SPLITS} streams, A = {RUN_LENGTH:,}.",
        false_alarms(novelties),
        f"**Answers from the change to the alarm**, median of {STREAMS} streams drawn from {IMAGES:,} test images, "
        f'A = 100,000; "none" where half of the streams or more had no alarm within {AFTER:,}. First the '
        "kinds that trust overrates most.",
    ]
    for severity in SEVERITIES:
        by_kind = {kind: answers_to(bundle, worsened(pixels, kind, severity), targets) for kind in NAMED}
        parts.append(f"Severity {severity} of 5:\n\n{delays(clean, by_kind, subject)}")
    text = "\n\n".join(parts)
    print(text)
    marked = f"<!-- input -->\n\n{text}\n\n<!-- /input -->"
    DOCUMENT.write_text(re.sub("<!-- input -->.*<!-- /input -->", lambda _: marked, DOCUMENT.read_text(), flags=re.S))


def worsened(pixels: Pixels, kind: str, severity: int) -> Pixels:
    """The images under one kind of corruption."""
    return to_pixels(corrupt(to_images(pixels, torch.device("cpu")), kind, severity, seed=0))


def answers_to(bundle: Bundle, pixels: Pixels, targets: NDArray[np.int64]) -> Answers:
    """What the service says, and what of it is right."""
    clean = bundle.manifest.image_statistics
    assert clean is not None, "the bundle has image statistics"
    batches = [pixels[start : start + BATCH] for start in range(0, len(pixels), BATCH)]
    given = [answer for batch in batches for answer in answer_batch(bundle, bundle.manifest.threshold, list(batch))]
    return Answers(
        novelty=np.array([answer.novelty for answer in given], float),
        image_novelty=np.concatenate([image_novelty(clean, batch) for batch in batches]),
        trust=np.array([answer.trust for answer in given]),
        correct=np.array([answer.class_index for answer in given]) == targets,
    )


def false_alarms(novelties: Mapping[str, Floats]) -> str:
    """Table of run lengths: one half of the reference ranks, chosen anew for each stream, the other is the traffic."""
    header = ["alarm", f"average run length, promised at least {RUN_LENGTH:,}"]
    header += [f"alarm within {length:,}, promised at most {length / RUN_LENGTH:.2f}" for length in (SHORT, MIDDLE)]
    rows = [header]
    for alarm, values in novelties.items():
        lengths = run_lengths(values, SPLITS)
        mean = f"more than {lengths.mean():,.0f}" if lengths.max() > LONG else f"{lengths.mean():,.0f}"
        rows.append([f"`{alarm}`", mean, *(f"{(lengths <= length).mean():.3f}" for length in (SHORT, MIDDLE))])
    return _table(rows)


def run_lengths(values: Floats, streams: int) -> Floats:
    """Answers until an alarm that is false, (streams,); one more than LONG where there was none within it."""
    lengths = np.full(streams, LONG + 1.0)
    for seed in range(streams):
        generator = np.random.default_rng(seed)
        ranking, live = np.array_split(generator.permutation(values), 2)
        reference = NoveltyReference(ranking, seed)
        alarm = EDetector(reference.mean_lower, RUN_LENGTH).first_alarm(
            reference.p_values(generator.choice(live, LONG))
        )
        if alarm is not None:
            lengths[seed] = alarm + 1
    return lengths


def delays(clean: Answers, by_kind: Mapping[str, Answers], subject: Subject) -> str:
    """Table of the median delays, the kinds that trust is most wrong about first."""
    rows = [
        ["kind", "met in training", "accuracy", "mean trust", *(f"`{alarm}`" for alarm in (*ALARMS, "falling_trust"))]
    ]
    for kind in sorted(by_kind, key=lambda kind: by_kind[kind].correct.mean() - by_kind[kind].trust.mean()):
        found = by_kind[kind]
        trained = "yes" if kind in TRAINED_KINDS else "no"
        cells = [delay(subject, alarm, clean, found) for alarm in (*ALARMS, "falling_trust")]
        rows.append([kind, trained, f"{found.correct.mean():.3f}", f"{found.trust.mean():.3f}", *cells])
    return _table(rows)


def delay(subject: Subject, alarm: str, clean: Answers, changed: Answers) -> str:
    """Median number of answers from the change to the alarm."""
    found = []
    for seed in range(STREAMS):
        generator = np.random.default_rng(seed)
        detector = EDetector(subject.new_alarms().watches[alarm].mu0)
        if detector.first_alarm(watched(subject, alarm, clean, generator, BEFORE)) is not None:
            detector.restart()
        first = detector.first_alarm(watched(subject, alarm, changed, generator, AFTER))
        found.append(np.inf if first is None else first + 1)
    return f"{median(found):,.0f}" if median(found) < np.inf else "none"


def watched(subject: Subject, alarm: str, answers: Answers, generator: np.random.Generator, count: int) -> Floats:
    """What an alarm is shown of answers drawn from these."""
    if alarm == "falling_trust":
        return generator.choice(answers.trust, count)
    reference = subject.image_novelty if alarm == "image" else subject.novelty
    assert reference is not None, "the bundle measures both novelties"
    return reference.p_values(generator.choice(getattr(answers, ALARMS[alarm]), count))


def _table(rows: list[list[str]]) -> str:
    rule = ["---"] + ["--:"] * (len(rows[0]) - 1)
    return "\n".join("| " + " | ".join(row) + " |" for row in (rows[0], rule, *rows[1:]))


if __name__ == "__main__":
    main()
