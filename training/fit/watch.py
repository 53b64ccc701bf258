"""Follows the loss of a fit: progress bar, log, TensorBoard events, and an error as soon as it is not finite."""

import math
import shutil
import time
from types import TracebackType

import torch
from accelerate import Accelerator
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from training.fit.record import Record
from training.log import log

LOG_SECONDS = 30.0
"""Between two lines in the log; there is one more at the end of each epoch."""


class Watch:
    """Is told the loss of every step, on every process; the main one shows and writes."""

    def __init__(
        self,
        title: str,
        epochs: int,
        steps_per_epoch: int,
        done: int,
        accelerator: Accelerator,
        record: Record | None,
    ) -> None:
        self.steps = done
        """Steps whose loss is known."""
        self._title, self._epochs, self._steps_per_epoch = title, epochs, steps_per_epoch
        self._accelerator, self._record = accelerator, record if accelerator.is_main_process else None
        # A GPU runs ahead of its host; fetching every loss would make it wait every time.
        self._fetch_every = 1 if accelerator.device.type == "cpu" else 10
        self._waiting: list[tuple[Tensor, float]] = []
        self._last_finite, self._logged = math.nan, time.monotonic()
        self._progress = _progress(disable=not accelerator.is_main_process)
        self._bar = self._progress.add_task(title, total=epochs * steps_per_epoch, completed=done, loss="")
        self._events: SummaryWriter | None = None

    def step(self, loss: Tensor, learning_rate: float) -> bool:
        """Takes in one step; whether all losses up to here are known, and finite.

        Raises:
            ValueError: a loss that is not finite, perhaps one of a few steps ago.
        """
        self._waiting.append((loss, learning_rate))
        at_end = (self.steps + len(self._waiting)) % self._steps_per_epoch == 0
        if len(self._waiting) < self._fetch_every and not at_end:
            return False
        losses = self._accelerator.reduce(torch.stack([loss for loss, _ in self._waiting]), "mean").tolist()
        rates = [rate for _, rate in self._waiting]
        self._waiting.clear()
        for loss_value, rate in zip(losses, rates, strict=True):
            self._check(loss_value, rate)
        self._show(sum(losses) / len(losses), rates[-1], at_end)
        return True

    def flush(self) -> None:
        """Leaves on disk what has been seen so far."""
        if self._events is not None:
            self._events.flush()

    def __enter__(self) -> "Watch":
        self._progress.start()
        if self._record is not None:
            folder = self._record.events(self._title)
            if not self.steps:
                shutil.rmtree(folder, ignore_errors=True)
            # What a killed process did after its last checkpoint is done again, and must count once.
            self._events = SummaryWriter(str(folder), purge_step=self.steps + 1 if self.steps else None)
            total = self._epochs * self._steps_per_epoch
            self._log(f"goes on after step {self.steps} of {total}" if self.steps else f"{total} steps")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
        if self._events is not None:
            self._events.close()

    def _check(self, loss: float, rate: float) -> None:
        epoch, step = divmod(self.steps, self._steps_per_epoch)
        if not math.isfinite(loss):
            message = (
                f"{self._title}: the loss is {loss} in epoch {epoch + 1} of {self._epochs}, step {step + 1} of "
                f"{self._steps_per_epoch}, at learning rate {rate:.3g}; the last finite loss was "
                f"{self._last_finite:.4g}. Lower the learning rate, or look for images or targets that are not finite"
            )
            self._log(message)
            raise ValueError(message)
        self.steps, self._last_finite = self.steps + 1, loss

    def _show(self, loss: float, rate: float, at_end: bool) -> None:
        self._progress.update(self._bar, completed=self.steps, loss=f"loss {loss:.3f}")
        if self._events is not None:
            self._events.add_scalar("loss", loss, self.steps)
            self._events.add_scalar("learning_rate", rate, self.steps)
        if at_end or time.monotonic() - self._logged >= LOG_SECONDS:
            epoch, step = divmod(self.steps - 1, self._steps_per_epoch)
            place = f"epoch {epoch + 1}/{self._epochs}, step {step + 1}/{self._steps_per_epoch}"
            self._log(f"{place}, loss {loss:.4f}, learning rate {rate:.3g}")
            self._logged = time.monotonic()

    def _log(self, line: str) -> None:
        if self._record is not None:
            log(self._record.folder, f"{self._title}: {line}")


def _progress(disable: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[loss]}"),
        disable=disable,
    )
