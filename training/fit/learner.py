"""One step of learning, and what carries over from step to step."""

from collections.abc import Iterable, Sequence

from accelerate import Accelerator
from accelerate.utils import broadcast, convert_to_fp32
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from training.fit.averaging import first_averaged_epoch, take_average
from training.fit.batches import Shard
from training.fit.checkpoint import Stateful
from training.fit.objective import LossOf, Objective
from training.fit.optimizer import Schedule, build_optimizer
from training.fit.plan import FitPlan
from training.fit.sam import ascended


class Learner:
    """A model with its optimiser, schedule and weight average, on one of the processes that share the fit."""

    def __init__(
        self, model: nn.Module, loss_of: LossOf, plan: FitPlan, steps_per_epoch: int, accelerator: Accelerator
    ) -> None:
        self._model, self._plan, self._accelerator = model, plan, accelerator
        self._optimizer = build_optimizer(plan, model)
        self._schedule = Schedule(plan, self._optimizer, steps_per_epoch)
        self._average = None if plan.swa_from is None else AveragedModel(model)
        self._objective = Objective(model, loss_of).train()
        self._shared, self._stepper = accelerator.prepare(self._objective, self._optimizer)
        # Losses are computed in fp32 whatever the network is run in.
        self._hook = model.register_forward_hook(lambda _model, _images, outputs: convert_to_fp32(outputs))

    @property
    def parts(self) -> dict[str, Stateful]:
        """All that changes while it learns, by name."""
        parts: dict[str, Stateful | None] = {
            "model": self._model,
            "optimizer": self._optimizer,
            "schedule": self._schedule,
            "average": self._average,
            "scaler": self._accelerator.scaler,
        }
        return {name: part for name, part in parts.items() if part is not None}

    @property
    def learning_rate(self) -> float:
        """Of the next step."""
        return float(self._optimizer.param_groups[0]["lr"])

    def step(self, batch: Sequence[Shard]) -> Tensor:
        """Learns from this process's shards of a batch; their mean loss before, not yet fetched from the device."""
        first = self._accelerator.process_index * self._plan.accumulation
        shards = batch[first : first + self._plan.accumulation]
        loss = self._find_gradient(shards)
        if self._plan.sam_radius:
            with ascended(self._model, self._plan.sam_radius):
                self._find_gradient(shards)
        self._stepper.step()
        self._optimizer.zero_grad()
        self._schedule.step()
        return loss

    def end_epoch(self, epoch: int) -> None:
        """Counts the weights into the average, where the plan wants it."""
        if self._average is not None and epoch >= first_averaged_epoch(self._plan):
            self._average.update_parameters(self._model)

    def finish(self, batches: Iterable[Sequence[Shard]]) -> None:
        """Leaves the model in evaluation mode, the same on every process.

        Args:
            batches: one more epoch, from which averaged weights take their statistics.
        """
        if self._average is not None:
            take_average(self._objective, self._average, (shard for batch in batches for shard in batch))
        self._hook.remove()
        self._model.eval()
        for buffer in self._model.buffers():
            broadcast(buffer)

    def _find_gradient(self, shards: Sequence[Shard]) -> Tensor:
        losses = []
        for shard in shards:
            with self._accelerator.accumulate(self._shared):
                loss = self._shared(shard) * shard.weight
                self._accelerator.backward(loss)
            losses.append(loss.detach())
        return sum(losses[1:], losses[0]) / len(losses)
