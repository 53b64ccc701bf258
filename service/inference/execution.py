"""How an operator wants the networks of a bundle run; what is left open is measured when the bundle opens."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from service.settings import Settings

Device: TypeAlias = Literal["auto", "cpu", "cuda", "tensorrt"]
Networks: TypeAlias = Literal["auto", "parallel", "in_turn"]


def available_cores() -> int:
    """Cores this process may use, where the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Execution:
    """Where and how both networks are to run; the defaults leave everything open that can be measured."""

    device: Device = "auto"
    threads: int | None = None
    """CPU threads of each network; None: by measurement."""
    networks: Networks = "auto"
    """Both at once, or one after the other; auto: by measurement."""
    max_batch: int = 32
    cores: int = field(default_factory=available_cores)
    """Those of this process: workers share them."""
    half_precision: bool = False
    """Lets TensorRT compute in float16."""
    engines: Path | None = None
    """Folder where TensorRT keeps what it built, which takes minutes; None: it builds at every start."""


def execution_of(settings: Settings) -> Execution:
    """What the settings say of it, for one of the workers."""
    return Execution(
        device=settings.device,
        threads=settings.session_threads,
        networks=settings.networks,
        max_batch=settings.max_batch,
        cores=max(1, available_cores() // settings.workers),
        half_precision=settings.tensorrt_fp16,
        engines=settings.state / "tensorrt",
    )
