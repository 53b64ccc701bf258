"""The tables over oracles: by loss, by head, by labels and balancing, by slopes."""

from dataclasses import replace

from training.oracle.heads import HeadName
from training.oracle.loss_table import LOSSES, LossName
from training.oracle.recipes import RECIPES, Labels, OracleRecipe
from training.study.bench import Bench
from training.study.measures import (
    ACCURACY,
    AREAS,
    AUROC,
    CALIBRATION,
    DECISIONS,
    RANKING,
    RISKS,
    SEPARABILITY,
)
from training.study.table import StudyTable

# A correctness head alone, on clean images: what the losses are about.
BASE = replace(RECIPES["shared"], class_head=False, corrupted_share=0.0, kinds=(), labels="heldout")
"""What all rows have in common, but for what the table varies."""

HEADS: tuple[HeadName, ...] = ("signed_distance", "linear", "mlp", "confidnet")

SLOPES = ((1, 1), (1, 2), (1, 3), (1, 5), (2, 1), (2, 2), (2, 5), (3, 1), (3, 3), (5, 5))
"""slope_correct, slope_incorrect; the paper's are (1, 3) and (2, 5)."""

BALANCINGS: tuple[tuple[LossName, str], ...] = (
    ("steep_slope", "steep slope"),
    ("class_balanced_steep_slope", "steep slope, balanced"),
    ("cross_entropy", "cross entropy"),
    ("class_balanced_cross_entropy", "cross entropy, balanced"),
)

_COMPARED = (*RANKING, *DECISIONS, AREAS[0])


def loss_tables(bench: Bench) -> list[StudyTable]:
    """Every loss, and the published broadcast of those it was published with: four tables of the same oracles."""
    recipes = [replace(BASE, loss=loss) for loss in LOSSES]
    recipes += [replace(BASE, loss=loss, paper_compat=True) for loss in ("cross_entropy", "focal")]
    oracles = [bench.oracle_row(recipe.loss_label, recipe) for recipe in recipes]
    rows = (bench.baseline_row(), *oracles)
    return [
        StudyTable(
            "In the paper's form.",
            "loss",
            (ACCURACY, *RANKING, *DECISIONS),
            rows,
            "Per cent. ACC is the classifier's accuracy, the same for all; the oracle trusts where its logit is 0 or "
            "more, softmax confidence from one half on.",
        ),
        StudyTable(
            "In ours.",
            "loss",
            (AUROC, *AREAS, *CALIBRATION),
            rows,
            "ECE as it is: of the logit's sigmoid; scaled: Platt-scaled on the calibration images.",
        ),
        StudyTable("Risk at a coverage.", "loss", RISKS, rows, "Error rate, in per cent, of the most trusted answers."),
        StudyTable(
            "Separability.",
            "loss",
            SEPARABILITY,
            tuple(oracles),
            "Distance of the logits of right answers from those of wrong ones, in nats, of a normal distribution "
            "fitted to each; it depends on the logit's scale, which a ranking does not.",
        ),
    ]


def head_tables(bench: Bench) -> list[StudyTable]:
    """Every head under the steep slope loss."""
    rows = [bench.oracle_row(head.replace("_", " "), replace(BASE, head=head)) for head in HEADS]
    return [StudyTable("Steep slope loss, held-out labels.", "head", _COMPARED, (bench.baseline_row(), *rows))]


def label_tables(bench: Bench) -> list[StudyTable]:
    """Labels from held-out images, from training images and, where all runs have folds, cross-fitted; balanced or not.

    Balanced: weighted by the effective number of samples (Cui et al., 2019).
    """
    labels: dict[Labels, str] = {"heldout": "held-out", "training": "training"}
    if all(subject.crossfit() is not None for subject in bench.subjects):
        labels["crossfit"] = "cross-fit"
    rows = [
        bench.oracle_row(f"{name}: {title}", replace(BASE, labels=of, loss=loss))
        for of, name in labels.items()
        for loss, title in BALANCINGS
    ]
    note = "Every epoch shows each image once, so the many training images are more steps."
    if "crossfit" not in labels:
        note += " Cross-fitted labels are left out: the run has no classifiers of folds (`trustserve-train folds`)."
    return [StudyTable("MLP head.", "labels: loss", _COMPARED, (bench.baseline_row(), *rows), note)]


def slope_tables(bench: Bench) -> list[StudyTable]:
    """Slopes of the steep slope loss."""
    rows = [bench.oracle_row(f"({right}, {wrong})", _sloped(right, wrong)) for right, wrong in SLOPES]
    return [StudyTable("Slopes (correct, incorrect).", "slopes", (*_COMPARED, *SEPARABILITY), tuple(rows))]


def _sloped(right: float, wrong: float) -> OracleRecipe:
    return replace(BASE, slope_correct=float(right), slope_incorrect=float(wrong))
