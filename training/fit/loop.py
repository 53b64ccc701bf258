"""The training loop that classifier and oracle share, on one process or many."""

import dataclasses
from collections.abc import Mapping

from torch import nn

from training.fit.batches import Batches, Index
from training.fit.checkpoint import Checkpoint, Stateful
from training.fit.learner import Learner
from training.fit.objective import LossOf
from training.fit.plan import FitPlan
from training.fit.record import Record
from training.fit.watch import Watch
from training.processes import accelerator_for


def fit(
    model: nn.Module,
    loss_of: LossOf,
    positions: Index,
    plan: FitPlan,
    *,
    seed: int,
    title: str,
    record: Record | None = None,
    state: Mapping[str, Stateful] | None = None,
) -> None:
    """Fits a model in place, where it is: the same seed gives the same weights, on a CPU bit for bit.

    Under `torchrun` or `accelerate launch` every process calls this with the same arguments and ends with the same
    weights; what batch normalisation makes of that, `training.fit.batches.shards_of` says.

    Args:
        model: its parameters are updated; left in evaluation mode.
        loss_of: mean loss of the images at these positions, a scalar, under the model it is given; the number seeds
            what is drawn at random, and torch's global generator is seeded with it already. Called twice a step under
            SAM, with the same seed.
        positions: one epoch's images; a position may come more than once.
        plan: how.
        seed: of the order of images and of each step's draws.
        title: what progress bar, log and events call it; no other fit of the run may have it.
        record: where to leave log, events and checkpoint; nothing is written without.
        state: what else belongs into the checkpoint, by name, such as what a loss remembers of each image. Of several
            processes the main one's is kept: what they learn apart, they must share.

    Raises:
        ValueError: a loss that is not finite; a checkpoint to resume from that is of another fit.
    """
    accelerator = accelerator_for(next(model.parameters()).device, plan)
    batches = Batches(positions, plan.batch_size, seed, accelerator.num_processes * plan.accumulation)
    learner = Learner(model, loss_of, plan, len(batches), accelerator)
    settings = dataclasses.asdict(plan) | {"seed": seed, "images": len(positions), "shards": batches.shards}
    parts = learner.parts | {f"state of {name}": part for name, part in (state or {}).items()}
    checkpoint = Checkpoint(record, title, parts, settings, writes=accelerator.is_main_process)
    done = checkpoint.load()
    with Watch(title, plan.epochs, len(batches), done, accelerator, record) as watch:
        for epoch in range(done // len(batches), plan.epochs):
            for batch in batches.epoch(epoch, first=max(0, done - epoch * len(batches))):
                rate = learner.learning_rate
                is_known = watch.step(learner.step(batch), rate)
                # Never a checkpoint of a step whose loss may turn out not to be finite.
                if is_known and checkpoint.is_due():
                    watch.flush()
                    checkpoint.save(watch.steps)
            learner.end_epoch(epoch)
            watch.flush()
            checkpoint.save(watch.steps)
    learner.finish(batches.epoch(plan.epochs))
