"""Question-answer trust: its NetTrustScore, its spectrum over the classes and its density in each.

Wong, Wang, Hryniowski, 2020, arXiv:2009.05835; Hryniowski, Wong, Wang, 2020, arXiv:2009.14701.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.bootstrap import Interval, mean_interval
from training.report.class_figures import POINTS, SHOWN, class_densities, density_of, spectrum_panel, two_densities
from training.report.content import ReportContent
from training.report.section import Plot, Row, Section, Table, interval_cell, interval_numbers, number, percent
from trust.score import question_answer_trust, trust_spectrum

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

RIDGES = 12
"""So many classes show their density; the least trusted where there are more."""
SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class ClassTrust:
    """(K,) each unless said, NaN where a class has no answer."""

    earned: Floats
    """(N,) question-answer trust of each answer."""
    net_trust_score: Interval
    estimate: Interval
    """Without targets: trust in place of the verdict."""
    answers: Integers
    accuracy: Floats
    spectrum: Floats
    """Mean question-answer trust by target."""
    standard_error: Floats
    estimated_spectrum: Floats
    """By predicted class, without targets: another figure, never mixed with the other."""


def class_trust(content: ReportContent, resamples: int) -> ClassTrust:
    classes = len(content.classes)
    earned = question_answer_trust(content.confidence, content.correct)
    expected = question_answer_trust(content.confidence, content.trust)
    answers = np.bincount(content.target, minlength=classes)
    spectrum = trust_spectrum(earned, content.target, classes)
    squares = np.bincount(content.target, (earned - spectrum[content.target]) ** 2, minlength=classes)
    degrees = np.where(answers > 1, answers * (answers - 1.0), np.nan)
    return ClassTrust(
        earned=earned,
        net_trust_score=mean_interval(earned, resamples),
        estimate=mean_interval(expected, resamples),
        answers=answers,
        accuracy=trust_spectrum(content.correct, content.target, classes),
        spectrum=spectrum,
        standard_error=np.sqrt(squares / degrees),
        estimated_spectrum=trust_spectrum(expected, content.predicted, classes),
    )


def class_trust_section(content: ReportContent, resamples: int) -> Section:
    found = class_trust(content, resamples)
    score, estimate = found.net_trust_score, found.estimate
    words = [
        "Question-answer trust (Wong et al., 2020) is the confidence where the answer is right and the doubt, one "
        "minus confidence, where it is wrong: who is sure and wrong earns none.",
        f"NetTrustScore, its mean over the test images, is {number(score.value)} ({number(score.low)} to "
        f"{number(score.high)}). Estimated without any target, from trust: {number(estimate.value)} "
        f"({number(estimate.low)} to {number(estimate.high)}).",
    ]
    plots = [_spectrum_plot(found, content.classes), _density_plot(found, content)]
    return Section("class-trust", "Trust of each class", words, plots=plots, numbers=_numbers(found, content))


def _by_rising_trust(found: ClassTrust) -> Integers:
    """Classes, those without answers left out."""
    return np.argsort(found.spectrum, kind="stable")[: np.count_nonzero(found.answers)]


def _spectrum_plot(found: ClassTrust, classes: tuple[str, ...]) -> Plot:
    shown = _by_rising_trust(found)
    caption = (
        "Mean question-answer trust of each true class, least first, with 95 % intervals (1.96 standard errors); the "
        "dashed line is the NetTrustScore."
    )
    if len(shown) > 2 * SHOWN:
        caption += f" The {SHOWN} least and the {SHOWN} most trusted of {len(classes):,} classes; all in report.json."
        shown = np.concatenate([shown[:SHOWN], shown[-SHOWN:]])
    if empty := int(np.count_nonzero(found.answers == 0)):
        caption += f" {empty:,} of {len(classes):,} classes have no test image."
    half = 1.96 * found.standard_error
    panel = spectrum_panel([classes[k] for k in shown], found.spectrum[shown], half[shown], found.net_trust_score.value)
    header = ["class", "test images", "accuracy, %", "trust spectrum, by true class"]
    rows: list[Row] = [
        [
            classes[k],
            f"{found.answers[k]:,}",
            percent(found.accuracy[k]),
            interval_cell(Interval(found.spectrum[k], found.spectrum[k] - half[k], found.spectrum[k] + half[k], 0)),
            number(found.estimated_spectrum[k]),
        ]
        for k in shown
    ]
    table = Table("Trust spectrum", [*header, "estimate without targets, by predicted class"], rows)
    return Plot("plot-spectrum", "Trust spectrum", [panel], caption, table)


def _density_plot(found: ClassTrust, content: ReportContent) -> Plot:
    shown = _by_rising_trust(found)[:RIDGES]
    groups = {content.classes[k]: found.earned[content.target == k] for k in shown}
    left = np.count_nonzero(found.answers) - len(shown)
    caption = (
        "Where question-answer trust lies. First over all answers: the densities of right and of wrong ones, each "
        "weighted by its share, one on the other. Then in each true class, least trusted first, all ridges of one "
        f"height, the tick at the mean{f'; {left:,} more trusted classes are left out' if left else ''}. Gaussian "
        "kernel of bandwidth 0.5 / √N, reflected at 0 and 1; heights on a square-root scale."
    )
    rows = [
        [name, *(number(quantile) for quantile in np.quantile(values, SHARES))]
        for name, values in {"all answers": found.earned, **groups}.items()
    ]
    table = Table("Quantiles of question-answer trust", ["class", *(f"{share:.0%}" for share in SHARES)], rows)
    panels = [two_densities(found.earned, content.correct), class_densities(groups)]
    return Plot("plot-density", "Trust density", panels, caption, table)


def _numbers(found: ClassTrust, content: ReportContent) -> Mapping[str, Any]:
    classes = dict(enumerate(content.classes))
    return {
        "net_trust_score": interval_numbers(found.net_trust_score),
        "net_trust_score_estimate": interval_numbers(found.estimate),
        "classes": [
            {
                "name": name,
                "test_images": found.answers[k],
                "accuracy": found.accuracy[k],
                "spectrum": found.spectrum[k],
                "standard_error": found.standard_error[k],
                "estimated_spectrum_by_predicted": found.estimated_spectrum[k],
                "density": density_of(found.earned[content.target == k]).tolist() if found.answers[k] else None,
            }
            for k, name in classes.items()
        ],
        "density": {"at": POINTS.tolist(), "all": density_of(found.earned).tolist()},
    }
