"""A run's folder: what the steps leave to each other, each file written whole or not at all."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel
from torch import nn

from training.config import TrainingConfig
from training.scores.posthoc import PostHoc
from trust.head import TrustHead


class Calibrated(BaseModel):
    """What the calibrate step finds."""

    temperature: float
    heads: dict[str, TrustHead]
    """Of each oracle, the exported one first."""
    fallback: TrustHead
    """Of the best post-hoc score, which serves where the oracle is not promoted."""
    posthoc: PostHoc


class MissingStep(Exception):
    """A step was asked for whose input no earlier step has written."""


class Run:
    """Reads and writes the folder of one run."""

    def __init__(self, config: TrainingConfig) -> None:
        self.folder = config.run
        self.cache = config.run.parent / ".cache"
        self.folder.mkdir(parents=True, exist_ok=True)

    def save_weights(self, name: str, module: nn.Module) -> None:
        """Writes `<name>.pt`."""
        self._write(f"{name}.pt", lambda path: torch.save(module.state_dict(), path))

    def load_weights(self, name: str, module: nn.Module, device: torch.device, step: str) -> None:
        """Reads `<name>.pt` into a module and leaves it in evaluation mode, frozen.

        Raises:
            MissingStep: naming the step that writes it.
        """
        module.load_state_dict(torch.load(self._existing(f"{name}.pt", step), map_location=device, weights_only=True))
        module.to(device).eval().requires_grad_(False)

    def save_json(self, name: str, value: Any) -> None:
        """Writes `<name>.json`."""
        self._write(f"{name}.json", lambda path: path.write_text(json.dumps(value, indent=2, default=str) + "\n"))

    def load_json(self, name: str, step: str) -> Any:
        """Reads `<name>.json`; raises as `load_weights`."""
        return json.loads(self._existing(f"{name}.json", step).read_text())

    def save_calibration(self, calibrated: Calibrated) -> None:
        """Writes what the calibrate step found."""
        self.save_json("calibration", calibrated.model_dump())

    def load_calibration(self) -> Calibrated:
        """Reads what the calibrate step found."""
        return Calibrated.model_validate(self.load_json("calibration", "calibrate"))

    def _existing(self, file: str, step: str) -> Path:
        path = self.folder / file
        if not path.is_file():
            raise MissingStep(f"{path} not found; run `trustserve-train {step}` with the same options first")
        return path

    def _write(self, file: str, write: Callable[[Path], object]) -> None:
        partial = self.folder / f"{file}.partial"
        write(partial)
        os.replace(partial, self.folder / file)
