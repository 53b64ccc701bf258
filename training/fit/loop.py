"""The training loop that classifier and oracle share."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from training.fit.optimizer import build_optimizer, build_schedule
from training.fit.plan import FitPlan
from training.fit.record import Record
from training.seeds import draw_seed

Index = NDArray[np.int64]
LossOf = Callable[[nn.Module, Index, int], Tensor]


class Stateful(Protocol):
    """What a checkpoint can hold beside the model."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any], /) -> object: ...


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
    """Fits a model in place.

    Args:
        model: its parameters are updated; left in evaluation mode.
        loss_of: mean loss of the images at these positions, a scalar; the model is the one to call (itself, not its
            methods: it may be wrapped); the number seeds what is drawn at random, and torch's global generator is
            seeded with it already. The same step draws the same, in both passes of SAM as well.
        positions: one epoch's images; a position may come more than once.
        plan: how.
        seed: of the order of images and of each step's draws.
        title: what progress bar, log and events call it; no other fit of the run may have it.
        record: where to leave log, events and checkpoints; nothing is written without.
        state: what else belongs into a checkpoint, by name, such as what a loss remembers of each image.
    """
    steps = -(-len(positions) // plan.batch_size)
    optimizer = build_optimizer(plan, model)
    schedule = build_schedule(plan, optimizer, plan.epochs * steps)
    model.train()
    with _progress() as progress:
        bar = progress.add_task(title, total=plan.epochs * steps, loss="")
        for epoch in range(plan.epochs):
            order = np.random.default_rng((seed, epoch)).permutation(positions)
            for step, batch in enumerate(_batches(order, plan.batch_size)):
                # Each step has draws of its own: one that is repeated draws the same, whatever came before it.
                draw = draw_seed(seed, epoch, step)
                torch.manual_seed(draw)
                loss = loss_of(model, batch, draw)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                progress.update(bar, advance=1, loss=f"loss {loss.item():.3f}")
    model.eval()


def _batches(order: Index, size: int) -> Iterator[Index]:
    for start in range(0, len(order), size):
        yield order[start : start + size]


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[loss]}"),
    )
