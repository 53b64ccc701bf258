"""A run's folder: what the steps leave to each other, each file written whole or not at all.

Beside what the steps save by name it holds `config.json`, `finished.json` (the steps done), `log.txt`, `events/` for
TensorBoard and, while a step runs, `checkpoints/`. Of several processes that share the run the main one alone writes.
"""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel
from torch import nn

from training.config import NOT_OF_THE_NUMBERS, TrainingConfig
from training.evaluation.table import CleanAnswers
from training.fit.record import Record
from training.log import log
from training.predict import pick_device
from training.processes import join_processes
from training.whole import write_whole
from trust.head import TrustHead


class Calibrated(BaseModel):
    """What the calibrate step finds."""

    temperature: float
    heads: dict[str, TrustHead]
    """Of each oracle, the exported one first."""
    fallback: TrustHead
    """Of the best post-hoc score, which serves where the oracle is not promoted."""


class MissingStep(Exception):
    """A step was asked for whose input no earlier step has written."""


class Run:
    """Reads and writes the folder of one run."""

    def __init__(self, config: TrainingConfig) -> None:
        self.folder = config.run
        self.cache = config.run.parent / ".cache"
        self.processes = join_processes(pick_device(config.device))
        self.record = Record(
            self.folder, self.folder / "checkpoints", resume=config.resume, checkpoint_seconds=config.checkpoint_seconds
        )
        self._config = config
        self.folder.mkdir(parents=True, exist_ok=True)

    def start(self) -> None:
        """Writes down what the run is; with `resume`, makes sure that it is what it was.

        Raises:
            ValueError: to resume with another configuration, naming each option that differs.
        """
        config = json.loads(json.dumps(dataclasses.asdict(self._config), default=str))
        before = self._read("config", default=config)
        options = (set(config) | set(before)) - set(NOT_OF_THE_NUMBERS)
        differing = sorted(option for option in options if config.get(option) != before.get(option))
        if differing and self._config.resume:
            changes = (f"{option} was {before.get(option)!r}, is {config.get(option)!r}" for option in differing)
            raise ValueError(
                f"{self.folder} is a run with another configuration: {'; '.join(changes)}. Resume it with "
                "the options it was started with, or start anew without --resume"
            )
        self.processes.wait_for_everyone()
        if differing:
            self.save_json("finished", [])
        self.save_json("config", config)
        self.processes.wait_for_everyone()

    def begin(self, step: str) -> bool:
        """Whether there is anything to do: not, where a run that is resumed has finished this step before.

        Anew, what was done after the step the last time counts no more, nor does any checkpoint.
        """
        finished = self._read("finished", default=[])
        if self._config.resume and step in finished:
            self.log(f"{step}: finished before")
            return False
        if not self._config.resume:
            self._remove_checkpoints()
            self.save_json("finished", finished[: finished.index(step)] if step in finished else finished)
        self.log(f"{step}: {'goes on' if self._config.resume else 'begins'}")
        return True

    def finish(self, step: str) -> None:
        """Notes that a step is done; its checkpoints are not needed any more."""
        self.save_json("finished", [*self._read("finished", default=[]), step])
        self._remove_checkpoints()
        self.log(f"{step}: finished")

    def log(self, line: str) -> None:
        """Adds a line to the run's log."""
        if self.processes.is_main_process:
            log(self.folder, line)

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

    def save_answers(self, answers: CleanAnswers) -> None:
        """Writes `answers.npz`."""
        self._write("answers.npz", answers.save)

    def load_answers(self) -> CleanAnswers:
        """Reads `answers.npz`; raises as `load_weights`."""
        return CleanAnswers.load(self._existing("answers.npz", "evaluate"))

    def load_calibration(self) -> Calibrated:
        """Reads what the calibrate step found."""
        return Calibrated.model_validate(self.load_json("calibration", "calibrate"))

    def _existing(self, file: str, step: str) -> Path:
        path = self.folder / file
        if not path.is_file():
            raise MissingStep(f"{path} not found; run `trustserve-train {step}` with the same options first")
        return path

    def _read(self, name: str, default: Any) -> Any:
        path = self.folder / f"{name}.json"
        return json.loads(path.read_text()) if path.is_file() else default

    def _remove_checkpoints(self) -> None:
        if self.processes.is_main_process:
            shutil.rmtree(self.record.checkpoints, ignore_errors=True)

    def _write(self, file: str, write: Callable[[Path], object]) -> None:
        if self.processes.is_main_process:
            write_whole(self.folder / file, write)
