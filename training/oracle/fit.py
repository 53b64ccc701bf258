"""Fits an oracle beside a frozen classifier."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.classifier.network import Classifier, load_weights
from training.data.dataset import Dataset, Positions
from training.data.images import flip_and_shift, to_images
from training.fit.loop import fit
from training.fit.plan import FitPlan
from training.fit.record import Record
from training.oracle.answers import cache_answers
from training.oracle.jury import CrossFit, Jury, call_jury
from training.oracle.loss_table import LOSSES, LossOptions, oracle_loss, verdict_weights
from training.oracle.network import AnyOracle, Oracle
from training.oracle.recipes import OracleRecipe
from training.oracle.shared import SharedOracle
from training.oracle.shared_fit import fit_shared_oracle
from training.oracle.verdicts import VerdictCounts
from training.seeds import draw_seed
from training.shift.corruptions import corrupt_in_chains


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
    lesson = _Lesson(dataset, recipe, jury, device)
    positions = lesson.positions()
    options = LossOptions(
        recipe.slope_correct,
        recipe.slope_incorrect,
        verdict_weights(recipe.loss, _count(lesson, positions, plan.batch_size, seed)),
        recipe.paper_compat,
    )

    def loss_of(model: nn.Module, batch: Positions, draw: int) -> Tensor:
        return lesson.loss(model, batch, draw, options)

    fit(oracle, loss_of, positions, plan, seed=seed, title=title, record=record)
    if recipe.finetune_epochs:
        oracle.free_encoder()
        gently = dataclasses.replace(plan, epochs=recipe.finetune_epochs, learning_rate=recipe.finetune_learning_rate)
        fit(oracle, loss_of, positions, gently, seed=seed, title=f"{title}, finetuning", record=record)
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
    clean, corrupted = cache_answers(classifier, split, jury, device), None
    if recipe.corrupted_share:
        copies = max(1, round(recipe.corrupted_share / (1 - recipe.corrupted_share)))
        again = np.tile(np.arange(len(split)), copies)
        copied = Jury(jury.judges, jury.judge_of[again])
        corrupted = cache_answers(classifier, split.take(again), copied, device, recipe.kinds, seed)
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


class _Lesson:
    """The images an oracle learns from, and what it is told of them."""

    def __init__(self, dataset: Dataset, recipe: OracleRecipe, jury: Jury, device: torch.device) -> None:
        self.split, self.seen = dataset.train + dataset.oracle, len(dataset.train)
        self.recipe, self.jury, self.device = recipe, jury, device
        self.targets = torch.from_numpy(self.split.targets).to(device)

    def positions(self) -> Positions:
        """One epoch's images: the training images once, those held out as often as the recipe says."""
        seen = np.arange(self.seen)
        return np.concatenate([seen, np.tile(np.arange(self.seen, len(self.split)), self.recipe.heldout_repeats)])

    def images(self, batch: Positions, draw: int) -> Tensor:
        """As the oracle sees them, (n, C, H, W): some corrupted, mirrored and moved."""
        images = to_images(self.split.pixels(batch), self.device)
        corrupted = round(self.recipe.corrupted_share * len(batch))
        if corrupted:
            chained = corrupt_in_chains(images[:corrupted], self.recipe.kinds, draw)
            images = torch.cat([chained, images[corrupted:]])
        return flip_and_shift(images)

    def loss(self, model: nn.Module, batch: Positions, draw: int, options: LossOptions) -> Tensor:
        """Of both heads on one batch, a scalar."""
        images, target = self.images(batch, draw), self.targets[batch]
        outputs = model(images)
        known = torch.from_numpy(self.jury.known(batch)).to(self.device)
        # A batch may hold no image whose verdict is known: then the head learns nothing from it.
        loss = 0 * outputs["oracle_logit"].sum()
        if known.any():
            verdicts = self.jury.verdicts(images[known], batch[known.cpu().numpy()], target[known])
            loss = oracle_loss(self.recipe.loss, outputs["oracle_logit"][known], verdicts, options)
        if "oracle_class_logits" in outputs:
            loss = loss + F.cross_entropy(outputs["oracle_class_logits"], target)
        return loss


def _count(lesson: _Lesson, positions: Positions, batch_size: int, seed: int) -> VerdictCounts:
    """Verdicts of a first pass over what is known of them; cut short once both kinds are met, if that is all we need.

    Raises:
        ValueError: there is only one kind.
    """
    known = np.random.default_rng(seed).permutation(positions[lesson.jury.known(positions)])
    counts = VerdictCounts(0, 0)
    for number, batch in enumerate(_batches(known, batch_size)):
        draw = draw_seed(seed, number)
        torch.manual_seed(draw)
        verdicts = lesson.jury.verdicts(lesson.images(batch, draw), batch, lesson.targets[batch])
        counts += VerdictCounts.of(verdicts.correct)
        if counts.both and LOSSES[lesson.recipe.loss].balance is None:
            break
    counts.require_both()
    return counts


def _batches(order: Positions, size: int) -> Iterator[Positions]:
    for start in range(0, len(order), size):
        yield order[start : start + size]
