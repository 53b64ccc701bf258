"""Optimiser and learning-rate schedule of a plan, both torch's own."""

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LRScheduler, MultiStepLR, OneCycleLR

from training.fit.plan import FitPlan


def build_optimizer(plan: FitPlan, model: nn.Module) -> Optimizer:
    """Over all parameters of the model; those without a gradient stay as they are."""
    parameters, rate, decay = model.parameters(), plan.learning_rate, plan.weight_decay
    if plan.optimizer == "sgd":
        return SGD(parameters, rate, momentum=plan.momentum, nesterov=plan.nesterov, weight_decay=decay)
    return {"adam": Adam, "adamw": AdamW}[plan.optimizer](parameters, rate, weight_decay=decay)


def build_schedule(plan: FitPlan, optimizer: Optimizer, steps: int) -> LRScheduler:
    """To be stepped with every batch, `steps` times in all."""
    if plan.schedule == "one_cycle":
        return OneCycleLR(optimizer, plan.learning_rate, total_steps=steps, pct_start=plan.warmup)
    if plan.schedule == "step":
        return MultiStepLR(optimizer, [round(share * steps) for share in plan.milestones], gamma=0.1)
    if plan.schedule == "cosine":
        return CosineAnnealingLR(optimizer, T_max=steps)
    return ConstantLR(optimizer, factor=1.0)
