"""Contents of reports: one small enough to compute by hand, one with everything a report can hold."""

from dataclasses import replace

import numpy as np

from training.bootstrap import Comparison, mean_interval
from training.report.content import About, Method, OtherData, ReportContent, ShiftRow
from trust.manifest import Threshold

PROMISE = Threshold(value=0.5, statement="At most 2.0% are wrong.", risk=0.02, confidence=0.95, coverage=0.5)


def by_hand(**changed):
    """Four answers, right, wrong, right, wrong, by falling trust; nobody is of class `c`."""
    score = np.array([0.9, 0.8, 0.3, 0.2])
    content = ReportContent(
        about=About("parts", "a classifier of parts", {"Classifier": "resnet"}),
        classes=("a", "b", "c"),
        target=np.array([0, 1, 1, 0]),
        predicted=np.array([0, 0, 1, 2]),
        confidence=np.array([0.9, 0.8, 0.6, 0.5]),
        methods=(Method("trust", score, threshold=0.5), Method("softmax", score[::-1].copy(), threshold=0.5)),
        served="trust",
        baseline="softmax",
        threshold=PROMISE,
        gate="Oracle promoted.",
    )
    return replace(content, **changed)


def many(count=400, classes=10, **changed):
    """Seeded answers, two of three right; `trust` knows more of it than `softmax`, `noise` nothing."""
    draw = np.random.default_rng(0)
    target = draw.integers(classes, size=count)
    right = draw.random(count) < 2 / 3
    predicted = np.where(right, target, (target + 1) % classes)

    def knowing(much):
        return np.clip(0.5 + much * (right - 0.5) + 0.3 * draw.standard_normal(count), 0, 1)

    softmax = knowing(0.3)
    scores = {"trust": knowing(0.8), "softmax": softmax, "noise": knowing(0.0)}
    content = by_hand(
        classes=tuple(f"part {k}" for k in range(classes)),
        target=target,
        predicted=predicted,
        confidence=softmax,
        methods=tuple(Method(name, score, threshold=0.5) for name, score in scores.items()),
    )
    return replace(content, **changed)


def shift_of(kind, group="unseen", auroc=0.95, gain=0.1, error=0.01):
    difference = Comparison(gain, gain - 0.02, gain + 0.02, share_not_better=0.0, left_out=0)
    return ShiftRow(kind, group, 0.6, auroc - gain, auroc, difference, net_trust_score=0.5, estimate=0.5 + error)


def everything():
    """A report with every section and every plot."""
    draw = np.random.default_rng(1)
    content = many()
    return replace(
        content,
        uncalibrated=np.sqrt(content.trust),
        images=draw.integers(0, 256, (len(content.target), 28, 28, 1), dtype=np.uint8).__getitem__,
        losses={"classifier": {"train": [2.0, 1.0, 0.5]}, "oracle": {"seed 0": [1.0, 0.8], "seed 1": [1.1, 0.7]}},
        shift=(shift_of("clean", "clean"), shift_of("gaussian_noise", "trained"), shift_of("fog"), shift_of("blur")),
        other_data=(
            OtherData("digits", 50, mean_interval(draw.random(50) / 4, 50), mean_interval(draw.random(50), 50)),
        ),
    )
