"""GET /monitor: one window's sums become figures, each with its interval or as insufficient data."""

import re
from typing import Literal

from service.errors import ParameterInvalid
from service.journal.records import LabelledColumns
from service.monitor.comparison import change, distances
from service.monitor.estimates import mean_estimate, ratio_estimate
from service.monitor.figures import INSUFFICIENT, Figures
from service.monitor.labelled import LabelledWindow
from service.monitor.schemas import (
    Alarm,
    Change,
    Contribution,
    Distance,
    Drift,
    Figure,
    Labels,
    MonitorReport,
    PredictedClass,
    Span,
    TargetClass,
    Traffic,
    Where,
)
from service.monitor.subject import Subject
from service.monitor.window import LONGEST_SECONDS, SHORTEST_SECONDS, Sums
from service.schemas import ModelName

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_SPAN = re.compile(r"([0-9]{1,9})([smhd])")


def window_seconds(asked: str) -> int:
    """Length of a window such as 90s, 15m, 1h or 7d.

    >>> window_seconds("15m")
    900

    Raises:
        ParameterInvalid: it is none, or shorter or longer than what is kept.
    """
    match = _SPAN.fullmatch(asked)
    seconds = int(match[1]) * _UNITS[match[2]] if match else 0
    if not SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS:
        raise ParameterInvalid(
            f"window is {asked[:64]!r}; wanted {SHORTEST_SECONDS}s to {LONGEST_SECONDS // 86_400}d, as in 90s, 15m, 1h"
        )
    return seconds


def monitor_report(
    subject: Subject,
    span: Span,
    sums: Sums,
    labelled: LabelledColumns | Literal["journal off", "journal away"],
    alarms: dict[str, Alarm],
    minimum: int,
) -> MonitorReport:
    """Everything that is known of one window.

    Args:
        subject: what is monitored.
        span: the window.
        sums: of its answers.
        labelled: those of them that have a label, or why nobody knows.
        alarms: as they stand.
        minimum: fewest answers, or labels, that a figure rests on.
    """
    figures = Figures(minimum)
    by_target: list[TargetClass] = []
    if isinstance(labelled, str):
        labels = Labels(state=labelled)
    else:
        window = LabelledWindow(labelled, subject.reward, subject.penalty, figures)
        labels, by_target = window.labels(sums, subject.threshold), window.by_target(subject.names)
    return MonitorReport(
        model=ModelName(name=subject.manifest.name, version=subject.manifest.version),
        window=span,
        minimum=minimum,
        answers=round(sums.total("answers")),
        traffic=_traffic(sums, figures),
        labels=labels,
        where=Where(
            by_predicted=[_predicted(sums, index, name, figures) for index, name in enumerate(subject.names)],
            by_target=by_target,
            change=_change(sums, subject, figures),
        ),
        drift=_drift(sums, subject, figures),
        alarms=alarms,
        reference=subject.manifest.reference,
    )


def _traffic(sums: Sums, figures: Figures) -> Traffic:
    """What the answers say by themselves."""
    answers, trusted = (round(sums.total("answers", trusted)) for trusted in (None, True))
    trust = _mean(sums, figures, "trust")
    return Traffic(
        mean_trust=trust,
        accuracy_estimate=trust,
        net_trust_score_estimate=_mean(sums, figures, "question_answer"),
        trust_rate=figures.of(answers, lambda: ratio_estimate(trusted, answers)),
        risk_estimate=_complement(_mean(sums, figures, "trust", trusted=True)),
        confidence_trusted=_mean(sums, figures, "confidence", trusted=True),
        confidence_untrusted=_mean(sums, figures, "confidence", trusted=False),
        density_estimate=figures.density(sums.question_answer_bins.sum(axis=0)),
    )


def _change(sums: Sums, subject: Subject, figures: Figures) -> Change:
    """Contribution of every predicted class to the change since the reference."""
    answers = round(sums.total("answers"))
    if answers < figures.minimum:
        return Change(state=INSUFFICIENT, answers=answers)
    found = change(sums, subject.reference)
    mix_significant, within_significant = found.significant()
    columns = (found.mix, mix_significant, found.within, within_significant)
    rows = zip(subject.names, *(column.tolist() for column in columns), strict=True)
    fields = ("label", "mix", "mix_significant", "within", "within_significant")
    classes = [Contribution(**dict(zip(fields, row, strict=True))) for row in rows]
    return Change(state="ok", answers=answers, value=found.change, classes=classes)


def _drift(sums: Sums, subject: Subject, figures: Figures) -> Drift:
    """Distances from the reference, by score and statistic."""
    answers = round(sums.total("answers"))
    if answers < figures.minimum:
        return Drift(state=INSUFFICIENT, answers=answers)
    scores = {
        score: {
            name: Distance(
                value=found.value,
                threshold=found.threshold,
                exceeded=None if found.threshold is None else found.exceeded,
            )
            for name, found in statistics.items()
        }
        for score, statistics in distances(
            sums, subject.reference, len(subject.novelties), len(subject.image_novelties)
        ).items()
    }
    return Drift(state="ok", answers=answers, scores=scores)


def _predicted(sums: Sums, index: int, name: str, figures: Figures) -> PredictedClass:
    answers, total, squares = (
        float(sums.by_class(measure)[index]) for measure in ("answers", "question_answer", "question_answer_squares")
    )
    trusted = float(sums.by_class("answers", trusted=True)[index])
    return PredictedClass(
        label=name,
        answers=round(answers),
        trust_rate=figures.of(answers, lambda: ratio_estimate(trusted, answers)),
        net_trust_score_estimate=figures.of(answers, lambda: mean_estimate(round(answers), total, squares)),
        density_estimate=figures.density(sums.question_answer_bins[index]),
    )


def _mean(sums: Sums, figures: Figures, measure: str, trusted: bool | None = None) -> Figure:
    answers = round(sums.total("answers", trusted))
    total, squares = sums.total(measure, trusted), sums.total(f"{measure}_squares", trusted)
    return figures.of(answers, lambda: mean_estimate(answers, total, squares))


def _complement(figure: Figure) -> Figure:
    """1 - figure."""
    if figure.value is None or figure.low is None or figure.high is None:
        return figure
    return figure.model_copy(update={"value": 1 - figure.value, "low": 1 - figure.high, "high": 1 - figure.low})
