"""The state of a fit on disk, from which it goes on after whatever killed it."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch

from training.fit.record import Record
from training.whole import write_whole


class Stateful(Protocol):
    """What a checkpoint can hold: its state is tensors, numbers and strings, in dicts and lists."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any], /) -> object: ...


class Checkpoint:
    """One file, whole at any moment, with where the fit is and the state of all that changes while it runs."""

    def __init__(
        self,
        record: Record | None,
        title: str,
        parts: Mapping[str, Stateful],
        settings: Mapping[str, Any],
        writes: bool = True,
    ) -> None:
        """
        Args:
            record: where the file is; without, nothing is saved or loaded.
            title: of the fit.
            parts: what changes, by name.
            settings: what must be the same for the fit to go on as if nothing had happened.
            writes: of several processes one saves and all load.
        """
        self._record, self._parts, self._settings, self._writes = record, parts, dict(settings), writes
        self._path = record.checkpoint(title) if record else Path()
        self._saved = time.monotonic()

    def is_due(self) -> bool:
        """Whether the last one is too old."""
        return (
            self._record is not None
            and self._writes
            and time.monotonic() - self._saved >= self._record.checkpoint_seconds
        )

    def save(self, steps: int) -> None:
        """Writes the state after so many steps."""
        if self._record is None or not self._writes:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        state = {name: part.state_dict() for name, part in self._parts.items()}
        held = {"settings": self._settings, "steps": steps, "state": state}
        write_whole(self._path, lambda path: torch.save(held, path))
        self._saved = time.monotonic()

    def load(self) -> int:
        """Brings every part to the state in the file, if this is to resume, and gives the steps done then; 0 if not.

        Raises:
            ValueError: naming what is set otherwise now.
        """
        if self._record is None or not self._path.is_file():
            return 0
        if not self._record.resume:
            if self._writes:
                self._path.unlink()
            return 0
        held = torch.load(self._path, map_location="cpu", weights_only=True)
        changed = [
            f"{name} was {held['settings'].get(name)!r} and is {value!r}"
            for name, value in self._settings.items()
            if held["settings"].get(name) != value
        ]
        if changed:
            raise ValueError(f"{self._path} is of another fit: {'; '.join(changed)}; start anew without resuming")
        for name, part in self._parts.items():
            part.load_state_dict(held["state"][name])
        return int(held["steps"])
