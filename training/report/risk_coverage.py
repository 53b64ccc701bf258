"""Risk against coverage: how many of the best-scored answers are wrong, from the first to all of them."""

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from training.bootstrap import Comparison, bootstrap_paired
from training.metrics.measure import sort_answers
from training.metrics.selective import risk_at_coverage
from training.report.comparison import ranked
from training.report.content import ReportContent
from training.report.drawing import BLUE, FAINT, INK, LINES, drawing, to_svg
from training.report.measures import MeasureTable
from training.report.section import Plot, Section, Table, interval_numbers, percent

Floats = NDArray[np.float64]
Curve = tuple[Floats, Floats]

COVERAGES = np.round(np.linspace(0.005, 1, 200), 3)
COMPARED_AT = tuple(round(0.05 * step, 2) for step in range(2, 21))
FROM_COVERAGE = 0.1
"""Below it a curve hangs on a few answers: it is not drawn."""


def risk_coverage(score: Floats, correct: NDArray[np.bool_]) -> Curve:
    """Coverages and risks at the strictest thresholds that reach 0.5 %, 1 %, ... 100 % coverage; tied answers together.

    >>> coverage, risk = risk_coverage([0.9, 0.8, 0.3, 0.2], [True, False, True, False])
    >>> coverage[[0, 99, -1]].tolist(), risk[[0, 99, -1]].tolist()
    ([0.25, 0.5, 1.0], [0.0, 0.5, 0.5])
    """
    answers = sort_answers(score, correct)
    accepted, errors = answers.accepted[0], answers.accepted_errors[0]
    coverage = accepted / accepted[-1]
    at = np.minimum(np.searchsorted(coverage, COVERAGES - 1e-12), len(coverage) - 1)
    return coverage[at], errors[at] / accepted[at]


def risk_coverage_section(content: ReportContent, table: MeasureTable, resamples: int) -> Section:
    curves = {method.name: risk_coverage(method.score, content.correct) for method in content.methods}
    named = _named(content, table)
    trusted = content.trust >= content.threshold.value
    point = (float(trusted.mean()), _share_wrong(content.correct, trusted))
    caption = (
        "Share of wrong answers among those accepted, when only the best-scored are; the ring marks the bundle's "
        f"threshold ({percent(point[0])} % trusted, {percent(point[1], 2)} % of those wrong). Coverages under "
        f"{FROM_COVERAGE:.0%} hang on a few answers and are not drawn."
    )
    if len(curves) > len(named):
        caption += f" Grey: the other {len(curves) - len(named)} methods, all of them in report.json."
    panels = [_risk_panel(curves, named, point)]
    numbers: dict[str, object] = {name: {"coverage": c.tolist(), "risk": r.tolist()} for name, (c, r) in curves.items()}
    if content.served != content.baseline:
        differences = risk_differences(content, resamples)
        caption += " Second panel: the difference at equal coverage, below zero is better, with 95 % intervals."
        panels.append(_difference_panel(differences, content.served, content.baseline))
        numbers |= {"difference": {f"{at:g}": interval_numbers(found) for at, found in differences.items()}}
    return Section(
        "risk-coverage",
        "Risk against coverage",
        ["The curve to read a threshold from: how many answers it leaves, and how many of those are wrong."],
        plots=[Plot("plot-risk-coverage", "Risk-coverage curves", panels, caption, _table(curves, named))],
        numbers=numbers,
    )


def risk_differences(content: ReportContent, resamples: int) -> dict[float, Comparison]:
    """Risk of the served score minus that of the baseline, by coverage."""
    measures = {str(at): risk_at_coverage.at(coverage=at) for at in COMPARED_AT}
    baseline = content.method(content.baseline).score
    found = bootstrap_paired(measures, content.trust, baseline, content.correct, resamples)
    return {at: found[str(at)] for at in COMPARED_AT}


def _named(content: ReportContent, table: MeasureTable) -> list[str]:
    """The lines with a colour: the served method, the baseline, then the best by AUROC."""
    first = list(dict.fromkeys([content.served, content.baseline]))
    others = [name for name in ranked(content, table) if name not in first]
    return [*first, *others][: len(LINES)]


def _share_wrong(correct: NDArray[np.bool_], chosen: NDArray[np.bool_]) -> float:
    return float((~correct[chosen]).mean()) if chosen.any() else float("nan")


def _risk_panel(curves: Mapping[str, Curve], named: Sequence[str], point: tuple[float, float]) -> Markup:
    with drawing() as (figure, [axes]):
        for name, (coverage, risk) in curves.items():
            if name not in named:
                axes.plot(*_drawn(coverage, risk), color=FAINT, linewidth=1.2)
        for name, (colour, dash) in reversed(list(zip(named, LINES, strict=False))):
            axes.plot(*_drawn(*curves[name]), color=colour, linestyle=dash, label=name)
        if np.isfinite(point[1]):
            axes.plot(100 * point[0], 100 * point[1], "o", fillstyle="none", color=INK, markersize=9)
        axes.set(title="Risk", xlabel="coverage, % of the answers accepted", ylabel="risk, % of those wrong")
        axes.set_xlim(100 * FROM_COVERAGE, 100)
        axes.set_ylim(bottom=0)
        axes.legend(*(part[::-1] for part in axes.get_legend_handles_labels()), loc="upper left", handlelength=3)
        alt = f"Line chart of risk against coverage for {', '.join(named)}; the numbers are in the table below."
        return to_svg(figure, "risk", alt)


def _difference_panel(differences: Mapping[float, Comparison], served: str, baseline: str) -> Markup:
    at = [100 * coverage for coverage in differences]
    value, low, high = 100 * np.array([[d.difference, d.low, d.high] for d in differences.values()]).T
    with drawing() as (figure, [axes]):
        axes.fill_between(at, low, high, color=BLUE, alpha=0.22, linewidth=0)
        axes.plot(at, value, color=BLUE, marker="o", markersize=3.5)
        axes.axhline(0, color=INK, linewidth=1)
        axes.set(
            title=f"Difference from {baseline}",
            xlabel="coverage, % of the answers accepted",
            ylabel="difference in risk, points",
            xlim=(100 * FROM_COVERAGE, 100),
        )
        alt = f"Line chart of the risk of {served} minus that of {baseline} against coverage, with 95 % intervals."
        return to_svg(figure, "risk-difference", alt)


def _drawn(coverage: Floats, risk: Floats) -> Curve:
    shown = coverage >= FROM_COVERAGE
    return 100 * coverage[shown], 100 * risk[shown]


def _table(curves: Mapping[str, Curve], named: Sequence[str]) -> Table:
    tenths = np.searchsorted(COVERAGES, np.arange(0.1, 1.01, 0.1) - 1e-9)
    header = ["coverage, %", *named]
    rows = [[percent(COVERAGES[at], 0), *(percent(curves[name][1][at], 2) for name in named)] for at in tenths]
    return Table("Risk in % at the strictest threshold that reaches each coverage", header, rows)
