"""Writes the report: one page that needs nothing but itself, and all its numbers as JSON."""

import json
import math
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from training.bootstrap import mean_interval
from training.report.class_trust import class_trust_section
from training.report.comparison import comparison_section
from training.report.content import ReportContent
from training.report.conventions import conventions_section
from training.report.decisions import decisions_section
from training.report.examples import examples_section
from training.report.loss_curves import loss_section
from training.report.measures import MeasureTable, Score, measure_table
from training.report.other_data import other_data_section
from training.report.reliability import reliability_section
from training.report.risk_coverage import risk_coverage_section
from training.report.section import Section, interval_numbers, number, percent
from training.report.under_shift import shift_section
from training.report.verdict import Verdict, verdict
from trust.score import net_trust_score

PAGE, NUMBERS = "index.html", "report.json"
FORMAT = 1
_DIGITS = 6


def write_report(folder: Path, content: ReportContent, resamples: int = 1000) -> None:
    """Writes `index.html` and `report.json` into the folder, which is made where it is missing.

    Args:
        folder: such as `report/` in a bundle.
        content: what was measured; parts that are absent are left out.
        resamples: of every bootstrap interval that `content` does not bring along.
    """
    table = content.measures or measure_content(content, resamples)
    sections = report_sections(content, table, resamples)
    judged = verdict(content, table)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PAGE).write_text(_render(content, table, judged, sections), encoding="utf-8")
    text = json.dumps(_plain(_numbers(content, judged, sections, resamples)), indent=1, allow_nan=False)
    (folder / NUMBERS).write_text(text + "\n", encoding="utf-8")


def measure_content(content: ReportContent, resamples: int = 1000, seed: int = 0) -> MeasureTable:
    """The table that `ReportContent.measures` may bring along, so that it is measured once."""
    scores = {method.name: Score(method.score, method.threshold, method.probability) for method in content.methods}
    return measure_table(scores, content.correct, resamples, seed)


def report_sections(content: ReportContent, table: MeasureTable, resamples: int) -> list[Section]:
    """The page from top to bottom, without the parts that the content lacks."""
    sections = [
        comparison_section(content, table),
        risk_coverage_section(content, table, resamples),
        decisions_section(content),
        reliability_section(content),
        class_trust_section(content, resamples),
        examples_section(content),
        shift_section(content),
        other_data_section(content),
        loss_section(content),
        conventions_section(table),
    ]
    return [section for section in sections if section is not None]


def _render(content: ReportContent, table: MeasureTable, judged: Verdict, sections: list[Section]) -> str:
    environment = Environment(
        loader=PackageLoader("training.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["tied"] = _tied
    style = files("training.report").joinpath("templates/report.css").read_text(encoding="utf-8")
    return environment.get_template("report.html").render(
        about=content.about,
        verdict=judged,
        threshold=content.threshold,
        gate=content.gate,
        tiles=_tiles(content, table),
        sections=sections,
        style=Markup(style),
    )


def _tied(words: str) -> str:
    """A figure and its unit stay on one line."""
    return words.replace(" %", "\N{NO-BREAK SPACE}%")


def _tiles(content: ReportContent, table: MeasureTable) -> list[tuple[str, str, str]]:
    """Title, figure and note of the figures one asks for first."""
    served, baseline = table.intervals[content.served], table.intervals[content.baseline]
    trusted = content.trust >= content.threshold.value
    wrong = percent(float((~content.correct[trusted]).mean()), 2) if trusted.any() else percent(math.nan)
    true = net_trust_score(content.confidence, content.correct)
    estimate = net_trust_score(content.confidence, content.trust)
    against = f"{content.baseline} {percent(baseline['auroc'].value)} %" if content.served != content.baseline else ""
    return [
        ("Accuracy", f"{percent(float(content.correct.mean()))} %", f"{len(content.target):,} test images"),
        ("AUROC of trust", f"{percent(served['auroc'].value)} %", against),
        ("ECE of trust", number(served["ece"].value), "0: taken at its word"),
        ("NetTrustScore", number(true), f"without targets {number(estimate)}"),
        ("Trusted", f"{percent(float(trusted.mean()))} %", f"at threshold {content.threshold.value:g}"),
        ("Wrong among trusted", f"{wrong} %", f"of all: {percent(float((~content.correct).mean()), 2)} %"),
    ]


def _numbers(content: ReportContent, judged: Verdict, sections: list[Section], resamples: int) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "about": {"name": content.about.name, "description": content.about.description, **content.about.facts},
        "verdict": vars(judged),
        "threshold": content.threshold.model_dump(),
        "gate": content.gate,
        "served": content.served,
        "baseline": content.baseline,
        "test_images": len(content.target),
        "accuracy": interval_numbers(mean_interval(content.correct, resamples)),
        **{section.id.replace("-", "_"): section.numbers for section in sections},
    }


def _plain(value: Any) -> Any:
    """What JSON can say: undefined numbers are null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return round(value, _DIGITS) if math.isfinite(value) else None
    return value
