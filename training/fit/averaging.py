"""Stochastic weight averaging: the mean of the weights of the last epochs, in the middle of a flat region.

Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization", arXiv:1803.05407; by torch.
"""

import math
from collections.abc import Iterable

from torch.optim.swa_utils import AveragedModel, update_bn

from training.fit.batches import Shard
from training.fit.objective import Objective
from training.fit.plan import FitPlan


def first_averaged_epoch(plan: FitPlan) -> int:
    """The first epoch, from 0, at whose end the weights count; `plan.epochs` where none do.

    >>> first_averaged_epoch(FitPlan(epochs=200, batch_size=128, learning_rate=0.1, swa_from=0.6))
    120
    """
    # A share times the epochs may fall short of the whole number it means by a rounding error.
    return plan.epochs if plan.swa_from is None else math.floor(plan.swa_from * plan.epochs + 1e-9)


def take_average(objective: Objective, average: AveragedModel, shards: Iterable[Shard]) -> None:
    """Gives the objective's model the averaged weights, and batch normalisation the statistics that belong to them.

    Args:
        objective: its model is changed in place.
        average: of the model's weights.
        shards: one epoch of images, to take the statistics from; not used where nothing needs them.
    """
    objective.model.load_state_dict(average.module.state_dict())
    # torch passes on the first of each batch's tensors; here that is a shard.
    update_bn(([shard] for shard in shards), objective)
