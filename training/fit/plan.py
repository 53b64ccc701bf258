"""How a network is fitted: optimiser, schedule, flat minima, precision; one frozen dataclass.

The defaults are this project's. Recipes of papers, as their authors' code has them:

- Luo et al. (arXiv:2110.00054): `nesterov=False, weight_decay=0`, one epoch of one cycle to 1e-5 that rises for 500
  steps (`warmup` as a share of all), batch 40.
- Correctness Ranking Loss (Moon et al., arXiv:2007.01458): `nesterov=False, weight_decay=1e-4, schedule="step"`, 300
  epochs from .1.
- FMFP (Zhu et al., arXiv:2303.02970): `nesterov=False, schedule="cosine", sam_radius=.05, swa_from=.6,
  swa_learning_rate=.05`, 200 epochs from .1.
"""

from dataclasses import dataclass
from typing import Literal

OptimizerName = Literal["sgd", "adam", "adamw"]
ScheduleName = Literal["one_cycle", "step", "cosine", "constant"]
Precision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class FitPlan:
    """What `fit` does with a model, whatever its loss.

    Raises:
        ValueError: naming a field that cannot be.
    """

    epochs: int
    """Passes over the positions."""
    batch_size: int
    """Images a step, over all processes and micro-batches."""
    learning_rate: float
    """The schedule's peak."""
    weight_decay: float = 5e-4
    """Of SGD and Adam an L2 penalty, of AdamW decoupled."""
    optimizer: OptimizerName = "sgd"
    momentum: float = 0.9
    """Of SGD; under one cycle it runs from .95 to .85 and back, as torch has it."""
    nesterov: bool = True
    """Of SGD."""
    schedule: ScheduleName = "one_cycle"
    """Stepped with every batch; cosine falls to 0 at the end."""
    warmup: float = 0.2
    """Share of the steps in which one cycle rises."""
    milestones: tuple[float, ...] = (1 / 2, 5 / 6)
    """Shares of the steps after which the step schedule divides the learning rate by ten."""
    sam_radius: float = 0.0
    """Of sharpness-aware minimisation (two passes a step); 0: off. Foret et al. take .05."""
    swa_from: float | None = None
    """Share of the epochs after which the weights of each epoch are averaged; None: the last weights count."""
    swa_learning_rate: float | None = None
    """While averaging, reached within one epoch; None: the schedule goes on."""
    accumulation: int = 1
    """Micro-batches a step, on each process."""
    precision: Precision = "fp32"
    """Of the forward pass; weights stay fp32."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "accumulation"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; wanted at least 1")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate is {self.learning_rate:g}; wanted more than 0")
        for name in ("weight_decay", "sam_radius"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is {getattr(self, name):g}; wanted 0 or more")
        if self.swa_from is not None and not 0 <= self.swa_from < 1:
            raise ValueError(f"swa_from is {self.swa_from:g}; wanted a share of the epochs from 0 to below 1")
        if self.swa_learning_rate is not None and self.swa_from is None:
            raise ValueError(
                "swa_learning_rate is given without swa_from; give the share from which weights are averaged"
            )
        if self.sam_radius and self.precision == "fp16":
            raise ValueError("sam_radius with precision fp16: scaled gradients give no direction; take bf16 or fp32")
