"""Fits an oracle beside a frozen classifier."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from training.classifier.network import Classifier
from training.config import OracleRecipe
from training.data.dataset import Dataset, Positions
from training.data.images import flip_and_shift, to_images
from training.fit import fit
from training.oracle.losses import judge, oracle_loss, outlier_loss
from training.oracle.network import Oracle
from training.shift.corruptions import corrupt_in_chains
from training.shift.outliers import make_outliers


def fit_oracle(
    classifier: Classifier, dataset: Dataset, recipe: OracleRecipe, *, batch_size: int, seed: int, title: str
) -> Oracle:
    """An oracle for a frozen classifier, on the classifier's device.

    Correctness is what the classifier itself answers on the very image of the batch, corrupted or not. With held-out
    labels it counts only on the oracle split, whose images the classifier never saw; the class head learns from both.

    Args:
        classifier: in evaluation mode; not changed.
        dataset: its train and oracle splits are used.
        recipe: how.
        batch_size: images a step.
        seed: of initialisation, order and corruptions.
        title: what the progress bar says.
    """
    torch.manual_seed(seed)
    device = next(classifier.parameters()).device
    oracle = Oracle(classifier, recipe).to(device)
    split, seen = dataset.train + dataset.oracle, len(dataset.train)
    targets = torch.from_numpy(split.targets).to(device)
    heldout = np.tile(np.arange(seen, len(split)), recipe.heldout_repeats)

    def loss_of(batch: Positions, draw: int) -> Tensor:
        images = to_images(split.pixels(batch), device)
        corrupted = round(recipe.corrupted_share * len(batch))
        if corrupted:
            chained = corrupt_in_chains(images[:corrupted], recipe.kinds, draw)
            images = torch.cat([chained, images[corrupted:]])
        images = flip_and_shift(images)
        target = targets[batch]
        strangers = round(recipe.outlier_share * len(batch))
        if strangers:
            images = torch.cat([images, make_outliers(images[-strangers:], draw)])
        # In one pass: apart, batch normalisation would tell outliers by the company they keep.
        everything = oracle(images)
        outputs = {name: output[: len(batch)] for name, output in everything.items()}
        known = torch.from_numpy((batch >= seen) | (recipe.labels == "training")).to(device)
        # A batch may hold no image whose verdict is known: then the head learns nothing from it.
        loss = 0 * outputs["oracle_logit"].sum()
        if known.any():
            with torch.no_grad():
                verdicts = judge(classifier(images[: len(batch)][known]), target[known])
            logits = outputs["oracle_logit"][known]
            loss = oracle_loss(recipe.loss, logits, verdicts, recipe.slope_correct, recipe.slope_incorrect)
        if recipe.class_head:
            loss = loss + F.cross_entropy(outputs["oracle_class_logits"], target)
        if strangers:
            loss = loss + outlier_loss({name: output[len(batch) :] for name, output in everything.items()})
        return loss

    fit(
        oracle,
        loss_of,
        np.concatenate([np.arange(seen), heldout]),
        epochs=recipe.epochs,
        batch_size=batch_size,
        learning_rate=recipe.learning_rate,
        seed=seed,
        title=title,
    )
    return oracle
