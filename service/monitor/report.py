"""GET /monitor: one window's sums become figures, each with its interval or as insufficient data."""

import re
from collections.abc import Sequence

from service.errors import ParameterInvalid
from service.monitor.comparison import change, distances
from service.monitor.estimates import mean_estimate, ratio_estimate
from service.monitor.figures import INSUFFICIENT, Figures
from service.monitor.reference import Reference
from service.monitor.schemas import Change, Contribution, Distance, Drift, Figure, PredictedClass, Traffic
from service.monitor.window import LONGEST_SECONDS, SHORTEST_SECONDS, Sums

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


def traffic(sums: Sums, figures: Figures) -> Traffic:
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


def by_predicted(sums: Sums, names: Sequence[str], figures: Figures) -> list[PredictedClass]:
    """The spectrum by predicted class."""
    return [_predicted(sums, index, name, figures) for index, name in enumerate(names)]


def change_by_class(sums: Sums, reference: Reference, names: Sequence[str], figures: Figures) -> Change:
    """Contribution of every predicted class to the change since the reference."""
    answers = round(sums.total("answers"))
    if answers < figures.minimum:
        return Change(state=INSUFFICIENT, answers=answers)
    found = change(sums, reference)
    mix_significant, within_significant = found.significant()
    columns = (found.mix, mix_significant, found.within, within_significant)
    rows = zip(names, *(column.tolist() for column in columns), strict=True)
    fields = ("label", "mix", "mix_significant", "within", "within_significant")
    classes = [Contribution(**dict(zip(fields, row, strict=True))) for row in rows]
    return Change(state="ok", answers=answers, value=found.change, classes=classes)


def drift(sums: Sums, reference: Reference, figures: Figures) -> Drift:
    """Distances from the reference, by score and statistic."""
    answers = round(sums.total("answers"))
    if answers < figures.minimum:
        return Drift(state=INSUFFICIENT, answers=answers)
    scores = {
        score: {
            name: Distance(value=found.value, threshold=found.threshold, exceeded=found.exceeded)
            for name, found in statistics.items()
        }
        for score, statistics in distances(sums, reference).items()
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
