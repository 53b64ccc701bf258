"""The measured table: every method on clean test images and under every kind of corruption, over oracle seeds.

Only this module measures anything on the test images; export asks a few of them whether torch and onnxruntime agree.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from training.bootstrap import Comparison, bootstrap_paired
from training.data.dataset import Split
from training.evaluation.conditions import Condition
from training.evaluation.other import measure_other_data
from training.evaluation.scorers import OutputsOf, Scorer, Views
from training.evaluation.summary import summarise
from training.metrics.calibration import ece
from training.metrics.ranking import aupr_error, aupr_success, auroc, fpr_at_95_tpr
from training.metrics.selective import aurc, tpr_tnr
from training.outputs import CLEAN
from training.scores.methods import TEMPERATURE_SCALED
from training.shift.transforms import NAMED
from trust.score import net_trust_score

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Results = dict[str, Any]
"""{"summary", "other_data", "conditions": {condition: {"accuracy", "gains": {row: {"value", "low", "high",
"share_not_better"}}, "methods": {row: {measure: {"mean", "sd"}}}}}}; `sd` is over oracle seeds, a gain is the AUROC of
a trust head, of the first seed, above that of temperature-scaled softmax confidence."""


@dataclass(frozen=True)
class CleanAnswers:
    """What every method says of the clean test images, by the served oracle: what a report is drawn from."""

    target: NDArray[np.int64]  # (N,)
    predicted: NDArray[np.int64]  # (N,)
    confidence: Floats  # (N,), as served
    scores: dict[str, Floats]  # by row, (N,) each
    thresholds: dict[str, float]

    def save(self, path: Path) -> None:
        """Writes them as arrays."""
        with path.open("wb") as file:
            np.savez_compressed(
                file,
                target=self.target,
                predicted=self.predicted,
                confidence=self.confidence,
                rows=np.array(list(self.scores)),
                scores=np.stack(list(self.scores.values())),
                thresholds=np.array([self.thresholds[row] for row in self.scores]),
            )

    @classmethod
    def load(cls, path: Path) -> "CleanAnswers":
        """Reads what `save` wrote."""
        with np.load(path) as file:
            rows = [str(row) for row in file["rows"]]
            return cls(
                target=file["target"],
                predicted=file["predicted"],
                confidence=file["confidence"],
                scores=dict(zip(rows, file["scores"], strict=True)),
                thresholds=dict(zip(rows, map(float, file["thresholds"]), strict=True)),
            )


def evaluate(outputs_of: OutputsOf, scorers: Sequence[Scorer], test: Split, seed: int) -> tuple[Results, CleanAnswers]:
    """Accuracy and every measure of every row, on clean and on corrupted test images.

    Args:
        outputs_of: what the networks say about some images; the first view is the served one.
        scorers: the rows; those of one name are seeds of one thing.
        test: images that nothing was fitted on or chosen by.
        seed: of the corruptions.
    """
    conditions = {}
    for kind in track([CLEAN, *NAMED], "evaluating"):
        condition = Condition(test, kind, seed)
        views = outputs_of(condition)
        conditions[kind] = _measure(views, scorers, condition)
        if kind == CLEAN:
            answers = _clean_answers(views, scorers, condition)
    other = measure_other_data(outputs_of, scorers, test, seed)
    return {"summary": summarise(conditions), "conditions": conditions, "other_data": other}, answers


def measures(score: Floats, correct: Bools, confidence: Floats, threshold: float) -> dict[str, float]:
    """Every measure of one score on one set of answers.

    Args:
        score, correct: (N,) the score in [0, 1], and whether the answer was right.
        confidence: (N,) what the service gives as confidence; NetTrustScore is about it.
        threshold: from which score on an answer is trusted.
    """
    tpr, tnr = tpr_tnr(score, correct, threshold)
    plain: dict[str, Callable[[Floats, Bools], float]] = {
        "auroc": auroc,
        "fpr_at_95_tpr": fpr_at_95_tpr,
        "aupr_error": aupr_error,
        "aupr_success": aupr_success,
        "aurc": aurc,
        "ece": ece,
    }
    trusted = score >= threshold
    return {name: measure(score, correct) for name, measure in plain.items()} | {
        "tpr": tpr,
        "tnr": tnr,
        "risk": float((~correct[trusted]).mean()) if trusted.any() else 0.0,
        "coverage": float(trusted.mean()),
        "mean": float(score.mean()),
        "net_trust_score": net_trust_score(confidence, correct),
        "net_trust_score_estimate": net_trust_score(confidence, score),
    }


def _measure(views: Views, scorers: Sequence[Scorer], condition: Condition) -> Results:
    served = next(iter(views.values()))
    correct = served["logits"].argmax(1) == condition.targets
    confidence = served["probabilities"].max(1).astype(float)
    rows: dict[str, list[dict[str, float]]] = {}
    first: dict[str, Floats] = {}
    for scorer in scorers:
        score = scorer(views)
        rows.setdefault(scorer.row, []).append(measures(score, correct, confidence, scorer.threshold))
        first.setdefault(scorer.row, score)
    softmax = first[TEMPERATURE_SCALED]
    trusts = dict.fromkeys(scorer.row for scorer in scorers if scorer.is_trust)
    gains = {row: bootstrap_paired({"": auroc}, first[row], softmax, correct)[""] for row in trusts}
    return {
        "accuracy": float(correct.mean()),
        "gains": {row: _rounded(gain) for row, gain in gains.items()},
        "methods": {row: _mean_and_sd(seeds) for row, seeds in rows.items()},
    }


def _clean_answers(views: Views, scorers: Sequence[Scorer], condition: Condition) -> CleanAnswers:
    served = next(iter(views.values()))
    # Of several seeds the first is the served one.
    rows = {scorer.row: scorer for scorer in reversed(scorers)}
    ordered = {scorer.row: rows[scorer.row] for scorer in scorers}
    return CleanAnswers(
        target=condition.targets,
        predicted=served["logits"].argmax(1),
        confidence=served["probabilities"].max(1).astype(float),
        scores={row: scorer(views) for row, scorer in ordered.items()},
        thresholds={row: scorer.threshold for row, scorer in ordered.items()},
    )


def _rounded(gain: Comparison) -> dict[str, float]:
    return {
        "value": round(gain.difference, 5),
        "low": round(gain.low, 5),
        "high": round(gain.high, 5),
        "share_not_better": round(gain.share_not_better, 5),
    }


def _mean_and_sd(seeds: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    columns = {name: [seed[name] for seed in seeds] for name in seeds[0]}
    # Of the population of seeds, estimated from a few: over N - 1. One seed says nothing of the spread.
    spread = {name: float(np.std(column, ddof=1)) if len(seeds) > 1 else 0.0 for name, column in columns.items()}
    return {
        name: {"mean": round(float(np.mean(column)), 5), "sd": round(spread[name], 5)}
        for name, column in columns.items()
    }
