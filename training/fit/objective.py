"""What a fit minimises: the loss of some images under the model."""

from collections.abc import Callable

from torch import Tensor, nn

from training.fit.batches import Index, Shard
from training.seeds import seed_torch

LossOf = Callable[[nn.Module, Index, int], Tensor]
"""Model, positions of images, seed of the draws -> mean loss, a scalar."""


class Objective(nn.Module):
    """Shard -> mean loss: a module, so that all a loss does with the model happens inside one forward pass.

    Accelerate averages gradients and lowers the precision of what happens inside a module's forward pass; around the
    model alone it would miss a loss that calls a method of the model instead of the model itself.
    """

    def __init__(self, model: nn.Module, loss_of: LossOf) -> None:
        super().__init__()
        self.model, self.loss_of = model, loss_of

    def forward(self, shard: Shard) -> Tensor:
        """The loss. Each shard draws by itself: one that is repeated draws the same, whatever came before it."""
        seed_torch(shard.draw)
        return self.loss_of(self.model, shard.positions, shard.draw)
