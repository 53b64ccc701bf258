"""What trust may be relied on for and what not: one sentence, drawn from the figures by the rules stated here."""

from dataclasses import dataclass

import numpy as np

from training.report.content import CLEAN, ReportContent, ShiftRow
from training.report.measures import MeasureTable
from training.report.section import joined

GOOD_RANKING = 0.8
"""AUROC from which on trust is said to rank answers."""
CLOSE_ESTIMATE = 0.05
"""How far the label-free NetTrustScore may be off."""
CALIBRATED = 0.02
"""ECE up to which trust is taken at its word."""
DISTRUSTING = 0.3
"""Mean trust up to which images of none of the classes are told."""


@dataclass(frozen=True)
class Verdict:
    sentence: str
    relied: tuple[str, ...]
    refused: tuple[str, ...]


def verdict(content: ReportContent, table: MeasureTable) -> Verdict:
    """Each use is put on one of two lists: those the figures support, and those they do not."""
    uses = [*_clean(content, table), *_under_shift(content), *_on_other_data(content)]
    relied = tuple(use.words for use in uses if use.supported)
    refused = tuple(use.words for use in uses if not use.supported)
    beginning = (
        f"Trust may be relied on {joined(relied)}" if relied else "Trust may be relied on for nothing measured here"
    )
    return Verdict("; ".join([beginning, *(f"not {use}" for use in refused)]) + ".", relied, refused)


def verdict_rules() -> str:
    """The rules in words, for the conventions."""
    return (
        f"Supported are: telling right from wrong where AUROC is at least {GOOD_RANKING:g}; a probability where ECE is "
        f"at most {CALIBRATED:g}; an error rate where the threshold holds a promise; a kind of shift where AUROC is at "
        f"least {GOOD_RANKING:g} and the label-free NetTrustScore off by at most {CLOSE_ESTIMATE:g}; other images "
        f"where mean trust is at most {DISTRUSTING:g}."
    )


@dataclass(frozen=True)
class _Use:
    words: str
    supported: bool


def _clean(content: ReportContent, table: MeasureTable) -> list[_Use]:
    row, risk = table.intervals[content.served], content.threshold.risk
    promise = "to keep an error rate" if risk is None else f"to keep mistakes among trusted answers to {100 * risk:g} %"
    ranking = "to tell right from wrong answers on clean images"
    if np.isnan(row["auroc"].value):
        ranking += ", which these cannot show"
    return [
        _Use(ranking, row["auroc"].value >= GOOD_RANKING),
        _Use("as a calibrated probability there", row["ece"].value <= CALIBRATED),
        _Use(promise, risk is not None),
    ]


def _under_shift(content: ReportContent) -> list[_Use]:
    kinds = [row for row in content.shift if row.kind != CLEAN]
    if not kinds:
        return [_Use("under shift, which was not measured", False)]
    weak = [row.title for row in kinds if not _holds(row)]
    uses = (
        [_Use(f"under {len(kinds) - len(weak)} of {len(kinds)} kinds of shift", True)] if len(weak) < len(kinds) else []
    )
    others = "shift of a kind that nobody measured"
    return [*uses, _Use(f"under {joined([*weak, others], most=10)}", False)]


def _holds(row: ShiftRow) -> bool:
    return row.auroc_trust >= GOOD_RANKING and abs(row.error) <= CLOSE_ESTIMATE


def _on_other_data(content: ReportContent) -> list[_Use]:
    told = [data.name for data in content.other_data if data.mean_trust.value <= DISTRUSTING]
    not_told = [data.name for data in content.other_data if data.mean_trust.value > DISTRUSTING]
    lists = ((told, True), (not_told, False))
    return [_Use(f"to reject {joined(names)}", supported) for names, supported in lists if names]
