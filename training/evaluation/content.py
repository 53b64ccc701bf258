"""What a bundle's report is written from: the measured table, the clean answers and what the bundle says of itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import ArrayLike

from training.bootstrap import Comparison, Interval
from training.data.dataset import Dataset
from training.evaluation.summary import GROUPS
from training.evaluation.table import CleanAnswers, Results
from training.report.content import About, Method, OtherData, ReportContent, ShiftRow
from training.scores.methods import SOFTMAX, TEMPERATURE_SCALED, TRUST
from trust.manifest import Gate, Threshold
from trust.posthoc import Floats


@dataclass(frozen=True)
class Served:
    """What the bundle serves, and how it came about."""

    name: str
    description: str
    facts: Mapping[str, str]
    threshold: Threshold
    gate: Gate
    row: str = TRUST
    """Of the table, that is served as trust."""
    uncalibrated: Floats | None = None
    """(N,) trust before its calibration map, on the clean test images."""
    losses: Mapping[str, Mapping[str, ArrayLike]] = field(default_factory=dict)
    """Loss curves, as `ReportContent.losses`."""


def report_content(results: Results, answers: CleanAnswers, dataset: Dataset, served: Served) -> ReportContent:
    """Everything on the report's page."""
    return ReportContent(
        about=About(served.name, served.description, served.facts),
        classes=dataset.classes,
        target=answers.target,
        predicted=answers.predicted,
        confidence=answers.confidence,
        methods=tuple(Method(row, score, answers.thresholds[row]) for row, score in answers.scores.items()),
        served=served.row,
        baseline=SOFTMAX,
        threshold=served.threshold,
        gate=served.gate.statement,
        uncalibrated=served.uncalibrated,
        images=lambda number: dataset.test.pixels(slice(number, number + 1))[0],
        losses=served.losses,
        other_data=tuple(_other(kind, found, served.row) for kind, found in results["other_data"].items()),
        shift=tuple(
            _shift_row(kind, group, results["conditions"][kind], served.row)
            for group, kinds in GROUPS.items()
            for kind in kinds
        ),
    )


def _other(kind: str, found: Mapping[str, Any], row: str) -> OtherData:
    trust, confidence = (Interval(**mean, left_out=0) for mean in (found["trust"][row], found["confidence"]))
    return OtherData(kind, found["images"], trust, confidence)


def _shift_row(kind: str, group: str, condition: Mapping[str, Any], row: str) -> ShiftRow:
    trust, softmax = condition["methods"][row], condition["methods"][TEMPERATURE_SCALED]
    gain = condition["gains"][row]
    return ShiftRow(
        kind=kind,
        group=group,
        accuracy=condition["accuracy"],
        auroc_softmax=softmax["auroc"]["mean"],
        auroc_trust=trust["auroc"]["mean"],
        gain=Comparison(gain["value"], gain["low"], gain["high"], gain["share_not_better"], left_out=0),
        net_trust_score=trust["net_trust_score"]["mean"],
        estimate=trust["net_trust_score_estimate"]["mean"],
    )
