"""What labels show of a window's answers. Each label counts for as many answers as its sampling probability says."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from service.journal.records import LabelledColumns
from service.monitor.estimates import Estimate, LabelSums, mean_estimate, prediction_powered, ratio_estimate
from service.monitor.figures import Figures, effective_number, weighted_mean
from service.monitor.schemas import Figure, Labels, Promise, TargetClass
from service.monitor.window import Floats, Sums
from trust.manifest import Threshold
from trust.score import question_answer_trust

Rows = NDArray[np.bool_]


class LabelledWindow:
    """The labelled answers of a window.

    Args:
        columns: one row each.
        reward, penalty: exponents of question-answer trust.
        figures: with the fewest labels from which there is a figure.
    """

    def __init__(self, columns: LabelledColumns, reward: float, penalty: float, figures: Figures) -> None:
        self._columns = columns
        self._figures = figures
        self._weights = 1 / columns.sampling_probability
        self._correct = columns.predicted == columns.target
        self._question_answer = question_answer_trust(columns.confidence, self._correct, reward, penalty)

    def labels(self, live: Sums, threshold: Threshold) -> Labels:
        """Every figure over all classes.

        Args:
            live: sums of all answers of the window, labelled or not.
            threshold: in force, with its promise.
        """
        columns = self._columns
        n, answers = len(columns.target), live.total("answers")
        lag = np.maximum(0, columns.received_at - columns.answered_at)  # a clock may have gone back
        risk = self._risk()
        return Labels(
            state="ok",
            labelled=n,
            complete=columns.complete,
            # The journal may remember answers that a lost state file does not.
            coverage=self._figures.of(answers, lambda: ratio_estimate(min(n, round(answers)), round(answers))),
            lag_seconds=self._figures.of(
                n, lambda: mean_estimate(n, float(lag.sum()), float(lag @ lag), (0, float("inf")))
            ),
            accuracy=self._share(self._correct, np.ones(n, bool)),
            net_trust_score=self._mean(self._question_answer),
            net_trust_score_prediction_powered=self._prediction_powered(live),
            confidence_right=self._mean(columns.confidence, self._correct),
            confidence_wrong=self._mean(columns.confidence, ~self._correct),
            risk=risk,
            promise=_promise(risk, threshold),
            calibration_gap=self._mean(self._correct - columns.trust, limits=(-1.0, 1.0)),
        )

    def by_target(self, names: Sequence[str]) -> list[TargetClass]:
        """The spectrum by true class; classes beyond the names count as the last."""
        target = np.minimum(self._columns.target, len(names) - 1)
        rows = [(name, target == index) for index, name in enumerate(names)]
        return [
            TargetClass(
                label=name,
                accuracy=self._share(self._correct, row),
                net_trust_score=self._mean(self._question_answer, row),
            )
            for name, row in rows
        ]

    def _risk(self) -> Figure:
        return self._share(~self._correct, self._columns.trusted)

    def _mean(self, values: Floats, rows: Rows | None = None, limits: tuple[float, float] = (0.0, 1.0)) -> Figure:
        rows = np.ones(len(values), bool) if rows is None else rows
        chosen, weights = values[rows], self._weights[rows]
        return self._figures.of(len(chosen), lambda: weighted_mean(chosen, weights, limits))

    def _share(self, hits: Rows, rows: Rows) -> Figure:
        """Weighted share of hits among rows, with Wilson's interval for the number of labels that the weights leave."""
        chosen, weights = hits[rows], self._weights[rows]

        def share() -> Estimate | None:
            if not len(chosen):
                return None
            effective = effective_number(weights)
            return ratio_estimate(effective * float(weights @ chosen / weights.sum()), effective)

        return self._figures.of(len(chosen), share)

    def _prediction_powered(self, live: Sums) -> Figure:
        answers = round(live.total("answers"))
        sums = [live.total(measure) for measure in ("question_answer", "question_answer_squares")]
        labelled = LabelSums.of(self._question_answer, self._columns.question_answer_estimate, self._weights)
        return self._figures.of(
            min(answers, labelled.n), lambda: prediction_powered(answers, sums[0], sums[1], labelled)
        )


def _promise(risk: Figure, threshold: Threshold) -> Promise:
    if threshold.risk is None:
        return Promise(state="nothing promised")
    if risk.low is None:
        return Promise(state="insufficient data", risk=threshold.risk)
    return Promise(state="broken" if risk.low > threshold.risk else "kept", risk=threshold.risk)
