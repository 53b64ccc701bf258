"""The training loop that classifier and oracle share: SGD with Nesterov momentum under a one-cycle schedule."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from training.outputs import Outputs, numpy_network
from training.seeds import draw_seed
from trust.preprocess import Pixels

Index = NDArray[np.int64]


def fit(
    model: nn.Module,
    loss_of: Callable[[Index, int], Tensor],
    positions: Index,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
    title: str,
    weight_decay: float = 5e-4,
) -> None:
    """Fits a model in place.

    Args:
        model: its parameters are updated; left in evaluation mode.
        loss_of: loss of the images at these positions, a scalar; the number seeds what it draws at random, and torch's
            global generator is seeded with it already.
        positions: one epoch's images; a position may come more than once.
        epochs, batch_size, learning_rate, weight_decay: of SGD; the learning rate is the schedule's peak.
        seed: of the order of images and of each step's draws.
        title: what the progress bar says.
    """
    steps = -(-len(positions) // batch_size)
    optimizer = torch.optim.SGD(
        model.parameters(), learning_rate, momentum=0.9, nesterov=True, weight_decay=weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=epochs * steps, pct_start=0.2)
    model.train()
    with _progress() as progress:
        bar = progress.add_task(title, total=epochs * steps, loss="")
        for epoch in range(epochs):
            for step, batch in enumerate(
                _batches(np.random.default_rng((seed, epoch)).permutation(positions), batch_size)
            ):
                # Each step has draws of its own: one that is repeated draws the same, whatever came before it.
                draw = draw_seed(seed, epoch, step)
                torch.manual_seed(draw)
                loss = loss_of(batch, draw)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                progress.update(bar, advance=1, loss=f"loss {loss.item():.3f}")
    model.eval()


def predict(model: Callable[[Tensor], dict[str, Tensor]], batches: Iterable[Pixels], device: torch.device) -> Outputs:
    """Outputs of a model over many images, by name, each with N rows: in memory, `OutputStore` has them on disk.

    Args:
        model: images (n, C, H, W) in [0, 1] -> named outputs.
        batches: (n, H, W, C) uint8 each; N images in all.
        device: where the model is.
    """
    network = numpy_network(model, device)
    parts = [network(pixels) for pixels in batches]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def pick_device(name: str) -> torch.device:
    """`cuda` or `cpu`; `auto` takes a GPU where there is one."""
    return torch.device("cuda" if name == "auto" and torch.cuda.is_available() else "cpu" if name == "auto" else name)


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
