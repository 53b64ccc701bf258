"""What a report is written from: plain arrays, all about the same N answers to clean test images.

Whoever evaluates fills it in; the parts that are absent are left out of the page, or said to be absent.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from training.bootstrap import Comparison, Interval
from training.report.measures import MeasureTable
from trust.manifest import Threshold
from trust.preprocess import Pixels

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Integers = NDArray[np.int64]


CLEAN = "clean"


@dataclass(frozen=True)
class About:
    """What was measured, for the head of the page."""

    name: str
    description: str
    facts: Mapping[str, str]
    """In the order shown: model, data, versions, seeds."""


@dataclass(frozen=True)
class Method:
    """One trust score of the N answers."""

    name: str
    score: Floats
    """(N,), higher reads "trust"."""
    threshold: float | None = None
    """From which score on an answer is trusted; None: not decided, so no TPR and TNR."""
    probability: bool = True
    """In [0, 1] and meant as P(correct); else there is no ECE, Brier score and NLL."""
    note: str = ""
    """What a reader must know of the row, such as that it reproduces a published mistake."""


@dataclass(frozen=True)
class ShiftRow:
    """How the classifier, its softmax confidence and trust do on images of one kind of shift."""

    kind: str
    """CLEAN for the unchanged images, which stand beside the others for comparison."""
    group: str
    """Such as "trained" (met in training) or "unseen"."""
    accuracy: float
    auroc_softmax: float
    auroc_trust: float
    gain: Comparison
    """AUROC of trust minus that of softmax confidence."""
    net_trust_score: float
    estimate: float
    """NetTrustScore without targets, from trust."""

    @property
    def title(self) -> str:
        return self.kind.replace("_", " ")

    @property
    def error(self) -> float:
        """How far the estimate is off."""
        return self.estimate - self.net_trust_score


@dataclass(frozen=True)
class OtherData:
    """Images of none of the classes: no answer is right, and trust should say so."""

    name: str
    images: int
    mean_trust: Interval
    mean_confidence: Interval


@dataclass(frozen=True)
class ReportContent:
    """Everything on the page."""

    about: About
    classes: tuple[str, ...]
    target: Integers
    """(N,) true classes."""
    predicted: Integers
    """(N,) the classifier's answers."""
    confidence: Floats
    """(N,) its confidence in [0, 1], as served; NetTrustScore is about it."""
    methods: tuple[Method, ...]
    served: str
    """Name of the method that the bundle serves as trust."""
    baseline: str
    """Name of the method the served one is held against: softmax confidence."""
    threshold: Threshold
    gate: str
    """The gate's statement."""
    uncalibrated: Floats | None = None
    """(N,) the served score before its calibration map, in [0, 1]."""
    images: Callable[[int], Pixels] | None = None
    """(H, W, C) uint8 of the answer with this number; only a few are asked for."""
    losses: Mapping[str, Mapping[str, ArrayLike]] = field(default_factory=dict)
    """Mean loss by epoch, (E,), by fitted network and line: {"oracle": {"seed 0": ..., "seed 1": ...}}."""
    shift: tuple[ShiftRow, ...] = ()
    other_data: tuple[OtherData, ...] = ()
    measures: MeasureTable | None = None
    """Measured before; the report measures the methods itself where it is absent."""

    def __post_init__(self) -> None:
        answers = len(self.target)
        lengths = {"predicted": len(self.predicted), "confidence": len(self.confidence)}
        lengths |= {f"score of {method.name!r}": len(method.score) for method in self.methods}
        for name, length in lengths.items():
            if length != answers:
                raise ValueError(f"{name} has {length} answers, target has {answers}; they must be about the same ones")
        for role, name in {"served": self.served, "baseline": self.baseline}.items():
            if name not in {method.name for method in self.methods}:
                raise ValueError(f"{role} is {name!r}, which is none of the methods; add its score to them")
        if self.trust.min() < 0 or self.trust.max() > 1:
            raise ValueError(
                f"served score {self.served!r} is not in [0, 1]; trust is a probability, calibrate it first"
            )

    @property
    def correct(self) -> Bools:
        return self.predicted == self.target

    @property
    def trust(self) -> Floats:
        """The served score, (N,)."""
        return self.method(self.served).score

    def method(self, name: str) -> Method:
        return next(method for method in self.methods if method.name == name)
