"""Optimiser and learning-rate schedule of a plan, both torch's own."""

from typing import Any

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LRScheduler, MultiStepLR, OneCycleLR
from torch.optim.swa_utils import SWALR

from training.fit.averaging import first_averaged_epoch
from training.fit.plan import FitPlan


def build_optimizer(plan: FitPlan, model: nn.Module) -> Optimizer:
    """Over all parameters of the model; those without a gradient stay as they are."""
    parameters, rate, decay = model.parameters(), plan.learning_rate, plan.weight_decay
    if plan.optimizer == "sgd":
        return SGD(parameters, rate, momentum=plan.momentum, nesterov=plan.nesterov, weight_decay=decay)
    return {"adam": Adam, "adamw": AdamW}[plan.optimizer](parameters, rate, weight_decay=decay)


class Schedule:
    """Sets the learning rate, stepped with every batch: the plan's schedule, then that of weight averaging if any."""

    def __init__(self, plan: FitPlan, optimizer: Optimizer, steps_per_epoch: int) -> None:
        self._steps = 0
        self._last_step_before_averaging = first_averaged_epoch(plan) * steps_per_epoch
        self._parts = [_plain_schedule(plan, optimizer, plan.epochs * steps_per_epoch)]
        if plan.swa_learning_rate is not None:
            self._parts.append(SWALR(optimizer, plan.swa_learning_rate, anneal_epochs=steps_per_epoch))

    def step(self) -> None:
        """After a step of the optimiser."""
        self._steps += 1
        averaging = self._steps > self._last_step_before_averaging
        self._parts[-1 if averaging else 0].step()

    def state_dict(self) -> dict[str, Any]:
        """How far it is."""
        return {"steps": self._steps, "parts": [part.state_dict() for part in self._parts]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from there; the learning rate itself is in the optimiser's state."""
        self._steps = state["steps"]
        for part, of in zip(self._parts, state["parts"], strict=True):
            part.load_state_dict(of)


def _plain_schedule(plan: FitPlan, optimizer: Optimizer, steps: int) -> LRScheduler:
    if plan.schedule == "one_cycle":
        # A rise of exactly one step has no length: torch would divide by it.
        warmup = 0.0 if plan.warmup * steps == 1 else plan.warmup
        return OneCycleLR(optimizer, plan.learning_rate, total_steps=steps, pct_start=warmup)
    if plan.schedule == "step":
        return MultiStepLR(optimizer, [round(share * steps) for share in plan.milestones], gamma=0.1)
    if plan.schedule == "cosine":
        return CosineAnnealingLR(optimizer, T_max=steps)
    return ConstantLR(optimizer, factor=1.0)
