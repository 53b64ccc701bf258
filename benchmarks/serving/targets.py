"""What the service is to reach, each a figure or a ratio within one run."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.serving.rounds import ALONE, Round
from benchmarks.serving.summary import Term, of_rounds, ratio

LITSERVE = ("litserve", "litserve-plain", "litserve-batch", "litserve-2", "litserve-cores")
BENTOML = ("bentoml", "bentoml-cores")
"""Settings of one server: the best of them counts."""


@dataclass(frozen=True)
class Target:
    """A term, or its ratio to another, and the bound that it is to keep."""

    statement: str
    term: Term
    bound: float
    to: Term | None = None
    at_least: bool = True
    aim: bool = False
    """Wished for, not promised."""

    def reached(self, rounds: Sequence[Round]) -> float | None:
        """What was measured; None where a part of it was not."""
        return of_rounds(rounds, self.term.of) if self.to is None else ratio(rounds, self.term, self.to)

    def is_met(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value <= self.bound


def _small(figure: str, *servers: str) -> Term:
    return Term("small", servers, figure)


def _large(figure: str, *servers: str) -> Term:
    return Term("resnet18", servers, figure)


def _at_32(*servers: str) -> Term:
    return _small("rate@32", *servers)


TARGETS: Sequence[Target] = (
    Target("small pair, 32 connections: tuned naive, 1 process each", _at_32("trustserve"), 3, _at_32("tuned")),
    Target("small pair, 32 connections: LitServe, best of its settings", _at_32("trustserve"), 4, _at_32(*LITSERVE)),
    Target("small pair, 32 connections: BentoML", _at_32("trustserve"), 6, _at_32(*BENTOML)),
    Target("small pair, 32 connections: 2 processes each", _at_32("trustserve-2"), 2.5, _at_32("tuned-2")),
    Target("small pair, 32 connections: empty UploadFile", _at_32("trustserve"), 1, _at_32("empty-upload")),
    Target("small pair, 32 connections: empty UploadFile", _at_32("trustserve"), 1.5, _at_32("empty-upload"), aim=True),
    Target("small pair, 1 connection: p50 in ms", _small("p50@1", "trustserve"), 1, at_least=False),
    Target("small pair: memory of one process in MB", _small("memory_mb", "trustserve"), 150, at_least=False),
    Target("small pair: start to first answer in s", _small("ready_seconds", "trustserve"), 2, at_least=False),
    Target(
        "ResNet-18 pair, 1 connection: p50 of onnxruntime in parallel",
        _large("p50@1", "trustserve"),
        1.2,
        _large("parallel_p50@1", ALONE),
        at_least=False,
    ),
    Target("ResNet-18 pair, 8 connections: onnxruntime", _large("rate@8", "trustserve"), 0.85, _large("rate", ALONE)),
    Target("ResNet-18 pair, 32 connections: onnxruntime", _large("rate@32", "trustserve"), 0.85, _large("rate", ALONE)),
    Target(
        "label + trust on shared features, 8 connections: the label alone",
        Term("shared", ("trustserve",), "rate@8"),
        0.97,
        Term("label", ("trustserve",), "rate@8"),
    ),
    Target(
        "label + trust on shared features, 32 connections: the label alone",
        Term("shared", ("trustserve",), "rate@32"),
        0.97,
        Term("label", ("trustserve",), "rate@32"),
    ),
    Target(
        "two networks, a thread each, 1 connection: p50 of the classifier alone",
        _large("p50@1", "trustserve-thread"),
        1.15,
        Term("label", ("trustserve-thread",), "p50@1"),
        at_least=False,
    ),
)
