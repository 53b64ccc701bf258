"""Fits an oracle beside a frozen classifier."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from training.classifier.network import Classifier, load_weights
from training.data.dataset import Dataset, Positions
from training.fit.loop import fit
from training.fit.plan import FitPlan
from training.fit.record import Record
from training.oracle.answers import cache_answers
from training.oracle.jury import CrossFit, Jury, call_jury
from training.oracle.lesson import Lesson, shown_positions
from training.oracle.loss_table import LossOptions, verdict_weights
from training.oracle.network import AnyOracle, Oracle
from training.oracle.recipes import OracleRecipe
from training.oracle.shared import SharedOracle
from training.oracle.shared_fit import CachedAnswers, fit_shared_oracle


def fit_oracle(
    classifier: Classifier,
    dataset: Dataset,
    recipe: OracleRecipe,
    *,
    plan: FitPlan,
    seed: int,
    title: str,
    crossfit: CrossFit | None = None,
    weights: Path | None = None,
    record: Record | None = None,
) -> AnyOracle:
    """An oracle for a frozen classifier, on the classifier's device.

    Correctness is what the classifier itself answers on the very image of the batch, corrupted or not. With held-out
    labels it counts only on the oracle split, whose images the classifier never saw; the class head learns from both.
    With cross-fitted labels the training images are judged too, each by the fold that never saw it. Weights of a
    balanced loss come from a first pass over the images whose verdict is known. A shared backbone's heads are fitted
    on features computed once.

    Args:
        classifier: in evaluation mode; not changed.
        dataset: its train and oracle splits are used.
        recipe: how.
        plan: of the fit; `recipe.plan` makes it.
        seed: of initialisation, order and corruptions.
        title: what the progress bar says.
        crossfit: for labels crossfit.
        weights: local checkpoint for an oracle of another architecture to start from.
        record: where to leave log and checkpoints.

    Raises:
        ValueError: all verdicts are of one kind; an architecture or weights that cannot be had.
    """
    device = next(classifier.parameters()).device
    jury = call_jury(classifier, len(dataset.train), len(dataset.oracle), recipe.labels, crossfit)
    if recipe.backbone == "shared":
        return _fit_shared(classifier, dataset, recipe, jury, plan=plan, seed=seed, title=title, record=record)
    torch.manual_seed(seed)
    oracle = Oracle(classifier, recipe)
    if weights is not None:
        load_weights(oracle.network.backbone, weights)
    oracle.to(device)
    lesson = Lesson(dataset, recipe, jury, device)
    options = LossOptions(
        recipe.slope_correct,
        recipe.slope_incorrect,
        verdict_weights(recipe.loss, lesson.count_verdicts(plan.batch_size, seed)),
        recipe.paper_compat,
    )

    def loss_of(model: nn.Module, batch: Positions, draw: int) -> Tensor:
        return lesson.loss(model, batch, draw, options)

    fit(oracle, loss_of, lesson.positions(), plan, seed=seed, title=title, record=record)
    if recipe.finetune_epochs:
        oracle.free_encoder()
        gently = dataclasses.replace(plan, epochs=recipe.finetune_epochs, learning_rate=recipe.finetune_learning_rate)
        fit(oracle, loss_of, lesson.positions(), gently, seed=seed, title=f"{title}, finetuning", record=record)
    return oracle


def _fit_shared(
    classifier: Classifier,
    dataset: Dataset,
    recipe: OracleRecipe,
    jury: Jury,
    *,
    plan: FitPlan,
    seed: int,
    title: str,
    record: Record | None,
) -> SharedOracle:
    """From features computed once: of each image as it is, and of as many corrupted copies as the share asks for."""
    device = next(classifier.parameters()).device
    split = dataset.train + dataset.oracle
    shown = np.unique(shown_positions(len(dataset.train), len(dataset.oracle), recipe.heldout_repeats))
    copies = round(recipe.corrupted_share / (1 - recipe.corrupted_share))

    def answers(rows: Positions, kinds: Sequence[str] = ()) -> CachedAnswers:
        return cache_answers(classifier, split.take(rows), Jury(jury.judges, jury.judge_of[rows]), device, kinds, seed)

    clean = answers(shown)
    corrupted = answers(np.tile(shown, max(1, copies)), recipe.kinds) if recipe.corrupted_share else None
    return fit_shared_oracle(
        clean.features,
        clean.logits,
        clean.targets,
        recipe,
        seed,
        corrupted=corrupted,
        batch_size=plan.batch_size,
        device=device,
        title=title,
        record=record,
    )
