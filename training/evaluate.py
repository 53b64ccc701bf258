"""The measured table: every method on clean test images and under every kind of corruption, over oracle seeds.

Only this module measures anything on the test images; export asks a few of them whether torch and onnxruntime agree.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track

from training.config import TrainingConfig
from training.data.dataset import Dataset, Split, Targets
from training.data.images import to_images, to_pixels
from training.metrics.calibration import ece
from training.metrics.ranking import aupr_error, aupr_success, auroc, fpr_at_95_tpr
from training.metrics.selective import aurc, tpr_tnr
from training.pair import Pair
from training.run import Calibrated
from training.scores.methods import ORACLE_LOGIT, TEMPERATURE_SCALED, TRUST, trust_scores
from training.seeds import draw_seed
from training.shift.corruptions import TRAINED_KINDS, corrupt
from training.shift.transforms import NAMED
from training.threshold import choose_threshold
from trust.preprocess import Pixels
from trust.score import net_trust_score

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Results = dict[str, Any]
Rows = dict[tuple[str, str], tuple[str, float]]
"""Row of the table and its threshold, by oracle and method."""

_CPU = torch.device("cpu")

SEVERITIES = (3, 4, 5)
CLEAN = "clean"


def evaluate(pair: Pair, calibrated: Calibrated, dataset: Dataset, config: TrainingConfig) -> Results:
    """Accuracy and the measures of each method on clean and on corrupted test images.

    Args:
        pair: the classifier and all oracles, by `<recipe>-<seed>`.
        calibrated: their trust heads, and the post-hoc scores.
        dataset: reference split (each method's threshold) and test split are used.
        config: seed, and the threshold's promise.

    Returns:
        {condition: {"accuracy", "methods": {method: {measure: {"mean", "sd"}}}}, ...}; `sd` is over oracle seeds.
    """
    rows = _rows(pair, calibrated, dataset.reference, config)
    conditions = [CLEAN, *NAMED]
    return {
        condition: _measure(pair, calibrated, *_condition(dataset.test, condition, config.seed), rows)
        for condition in track(conditions, "evaluating")
    }


def corrupted_copies(split: Split, kind: str, seed: int) -> tuple[Iterator[Pixels], Targets]:
    """Batches of all images under one kind of corruption, a third at each severity, and their targets.

    In an order that the seed alone decides: the n-th image is the same under every kind.
    """
    # Shuffled, or chunks of one draw would follow the data's order.
    order = np.random.default_rng(seed).permutation(len(split))
    thirds = dict(zip(SEVERITIES, np.array_split(order, len(SEVERITIES)), strict=True))

    def batches() -> Iterator[Pixels]:
        for severity, part in thirds.items():
            for number, pixels in enumerate(split.take(part).batches()):
                drawn = draw_seed(seed, severity, number)
                yield to_pixels(corrupt(to_images(pixels, _CPU), kind, severity, drawn))

    return batches(), split.targets[order]


def _condition(test: Split, condition: str, seed: int) -> tuple[Iterator[Pixels], Targets]:
    """Batches of the test images under a condition, and their targets."""
    return (test.batches(), test.targets) if condition == CLEAN else corrupted_copies(test, condition, seed)


def _row(oracle: str, method: str, config: TrainingConfig) -> str | None:
    """Row of a method of one oracle; a recipe trained for comparison stands there with its logit alone."""
    recipe = next(name for name in config.recipes if oracle.startswith(f"{name}-"))
    row = method
    if method == ORACLE_LOGIT:
        row = f"{config.oracle_recipe(recipe).loss_label} logit"
    if recipe == config.recipe:
        return row
    return f"{row} ({recipe} recipe)" if method == ORACLE_LOGIT else None


def _rows(pair: Pair, calibrated: Calibrated, reference: Split, config: TrainingConfig) -> Rows:
    rows: Rows = {}
    for oracle, outputs in pair.outputs(reference.batches()).items():
        correct = outputs["logits"].argmax(1) == reference.targets
        for method, score in trust_scores(outputs, calibrated.heads[oracle], calibrated.posthoc).items():
            if (row := _row(oracle, method, config)) is not None:
                rows[oracle, method] = row, choose_threshold(score, correct, config.risk, config.confidence).value
    return rows


def _measure(pair: Pair, calibrated: Calibrated, batches: Iterable[Pixels], targets: Targets, rows: Rows) -> Results:
    by_row: dict[str, list[dict[str, float]]] = {}
    accuracy = float("nan")
    for oracle, outputs in pair.outputs(batches).items():
        correct = outputs["logits"].argmax(1) == targets
        accuracy = float(correct.mean())
        confidence = outputs["probabilities"].max(1).astype(float)
        for method, score in trust_scores(outputs, calibrated.heads[oracle], calibrated.posthoc).items():
            if (oracle, method) in rows:
                row, threshold = rows[oracle, method]
                by_row.setdefault(row, []).append(measures(score, correct, confidence, threshold))
    return {"accuracy": accuracy, "methods": {row: _mean_and_sd(seeds) for row, seeds in by_row.items()}}


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


def summarise(results: Results) -> Results:
    """The figures one asks for first, from the table of `evaluate`.

    Gains are in AUROC points against temperature-scaled softmax confidence, averaged over kinds; NetTrustScore errors
    are |estimate - true|, averaged over kinds, with the worst kind beside.
    """
    groups = {
        CLEAN: [CLEAN],
        "trained": list(TRAINED_KINDS),
        "unseen": [kind for kind in NAMED if kind not in TRAINED_KINDS],
    }
    return {group: _summary([results[kind]["methods"] for kind in kinds]) for group, kinds in groups.items()}


def _summary(rows: list[dict[str, dict[str, dict[str, float]]]]) -> dict[str, float]:
    def mean(method: str, measure: str, row: dict[str, dict[str, dict[str, float]]]) -> float:
        return row[method][measure]["mean"]

    def error(method: str, row: dict[str, dict[str, dict[str, float]]]) -> float:
        return abs(mean(method, "net_trust_score_estimate", row) - mean(method, "net_trust_score", row))

    gains = [100 * (mean(TRUST, "auroc", row) - mean(TEMPERATURE_SCALED, "auroc", row)) for row in rows]
    errors = [error(TRUST, row) for row in rows]
    return {
        "softmax_auroc": float(np.mean([100 * mean(TEMPERATURE_SCALED, "auroc", row) for row in rows])),
        "trust_auroc": float(np.mean([100 * mean(TRUST, "auroc", row) for row in rows])),
        "auroc_gain": float(np.mean(gains)),
        "auroc_gain_worst": min(gains),
        "ece": float(np.mean([mean(TRUST, "ece", row) for row in rows])),
        "softmax_ece": float(np.mean([mean(TEMPERATURE_SCALED, "ece", row) for row in rows])),
        "net_trust_score_error": float(np.mean(errors)),
        "net_trust_score_error_worst": max(errors),
        "softmax_net_trust_score_error": float(np.mean([error(TEMPERATURE_SCALED, row) for row in rows])),
    }


def _mean_and_sd(seeds: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    columns = {name: [seed[name] for seed in seeds] for name in seeds[0]}
    # Of the population of seeds, estimated from a few: over N - 1. One seed says nothing of the spread.
    spread = {name: float(np.std(column, ddof=1)) if len(seeds) > 1 else 0.0 for name, column in columns.items()}
    return {
        name: {"mean": round(float(np.mean(column)), 5), "sd": round(spread[name], 5)}
        for name, column in columns.items()
    }
