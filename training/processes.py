"""The processes that share a run: one, or several started by `torchrun` or `accelerate launch`.

    torchrun --nproc-per-node 2 -m -- training.cli all --run runs/shared

(Without `--` torchrun would take `--run` for an option of its own.)
Each takes its share of every batch; the main process alone writes files and shows progress. Processes on several
machines need the run's folder, and the one beside it with the decoded images, on a disk that all of them see.
"""

from datetime import timedelta

import torch
from accelerate import Accelerator, PartialState
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs

from training.fit.plan import FitPlan

PATIENCE = timedelta(hours=12)
"""How long processes wait for each other: the main one may decode a large data set first."""


def join_processes(device: torch.device) -> PartialState:
    """This process among those of the run, joined on the first call."""
    if not torch.distributed.is_initialized():
        # Accelerate keeps the first device it was asked for; one process may use another for its next network.
        AcceleratorState._reset_state(reset_partial_state=True)
    return PartialState(cpu=device.type == "cpu", timeout=PATIENCE)


def accelerator_for(device: torch.device, plan: FitPlan) -> Accelerator:
    """What shares out one fit and runs it in the plan's precision.

    Raises:
        ValueError: fp16 on a CPU.
    """
    if plan.precision == "fp16" and device.type == "cpu":
        raise ValueError("precision is fp16 and the device cpu; wanted a GPU, or bf16 or fp32")
    join_processes(device)
    # Accelerate allows one precision a process; here each fit has its own.
    AcceleratorState._reset_state()
    return Accelerator(
        device_placement=False,
        mixed_precision="no" if plan.precision == "fp32" else plan.precision,
        gradient_accumulation_steps=plan.accumulation,
        cpu=device.type == "cpu",
        # An oracle without a class head has a last layer that nothing uses.
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )
