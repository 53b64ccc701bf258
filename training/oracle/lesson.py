"""What an oracle learns from: images as they are or corrupted, and verdicts on them."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.data.dataset import Dataset, Positions
from training.data.images import flip_and_shift, to_images
from training.oracle.jury import Jury
from training.oracle.loss_table import LOSSES, LossOptions, oracle_loss
from training.oracle.losses import outlier_loss
from training.oracle.recipes import OracleRecipe
from training.oracle.verdicts import VerdictCounts
from training.seeds import draw_seed, seed_torch
from training.shift.corruptions import corrupt_in_chains
from training.shift.outliers import make_outliers


class Lesson:
    """The images of a data set that an oracle learns from, and what it is told of them.

    Args:
        dataset: its train and oracle splits, in this order.
        recipe: which images are corrupted, and the loss.
        jury: over the same images.
        device: where the networks are.
    """

    def __init__(self, dataset: Dataset, recipe: OracleRecipe, jury: Jury, device: torch.device) -> None:
        self.split, self.seen = dataset.train + dataset.oracle, len(dataset.train)
        self.recipe, self.jury, self.device = recipe, jury, device
        self.targets = torch.from_numpy(self.split.targets).to(device)

    def positions(self) -> Positions:
        """One epoch's images: the training images once, those held out as often as the recipe says."""
        return shown_positions(self.seen, len(self.split) - self.seen, self.recipe.heldout_repeats)

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
        strangers = round(self.recipe.outlier_share * len(batch))
        # In one pass: apart, batch normalisation would tell outliers by the company they keep.
        shown = torch.cat([images, make_outliers(images[-strangers:], draw)]) if strangers else images
        everything = model(shown)
        outputs = {name: output[: len(batch)] for name, output in everything.items()}
        known = torch.from_numpy(self.jury.known(batch)).to(self.device)
        # A batch may hold no image whose verdict is known: then the head learns nothing from it.
        loss = 0 * outputs["oracle_logit"].sum()
        if known.any():
            verdicts = self.jury.verdicts(images[known], batch[known.cpu().numpy()], target[known])
            loss = oracle_loss(self.recipe.loss, outputs["oracle_logit"][known], verdicts, options)
        if "oracle_class_logits" in outputs:
            loss = loss + F.cross_entropy(outputs["oracle_class_logits"], target)
        if strangers:
            loss = loss + outlier_loss({name: output[len(batch) :] for name, output in everything.items()})
        return loss

    def count_verdicts(self, batch_size: int, seed: int) -> VerdictCounts:
        """Of a first pass over an epoch's images whose verdict is known, corrupted as those learned from.

        Cut short as soon as both kinds are met, if the loss needs no weights.

        Raises:
            ValueError: there is only one kind.
        """
        shown = self.positions()
        known = np.random.default_rng(seed).permutation(shown[self.jury.known(shown)])
        counts = VerdictCounts(0, 0)
        for number, batch in enumerate(_batches(known, batch_size)):
            draw = draw_seed(seed, number)
            seed_torch(draw)
            counts += VerdictCounts.of(self.jury.verdicts(self.images(batch, draw), batch, self.targets[batch]).correct)
            if counts.both and LOSSES[self.recipe.loss].balance is None:
                break
        counts.require_both()
        return counts


def shown_positions(seen: int, heldout: int, heldout_repeats: int) -> Positions:
    """One epoch of the classifier's training images, once, and of those it never saw, repeated.

    >>> shown_positions(seen=2, heldout=1, heldout_repeats=2).tolist()
    [0, 1, 2, 2]
    """
    return np.concatenate([np.arange(seen), np.tile(np.arange(seen, seen + heldout), heldout_repeats)])


def _batches(order: Positions, size: int) -> Iterator[Positions]:
    for start in range(0, len(order), size):
        yield order[start : start + size]
