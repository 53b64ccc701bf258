"""What the workers of one service remember: this one's sums and alarms, and what the others saved."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from service.monitor.alarms import Alarms
from service.monitor.state import Arrays, StateFile
from service.monitor.window import Observations, Sums, Window

SAVE_SECONDS = 5.0
SAVING_SHARE = 0.01
"""Large windows (many classes) take long to write: then they are written more rarely, in 1 % of the time."""
STALE_SECONDS = 300.0
"""A worker that saved nothing for so long is no more: its sums still count, its alarms do not."""

_logger = logging.getLogger("trustserve")


class Memory:
    """The window and the alarms, kept in a state file where the folder allows.

    Args:
        folder: of the bundle's state files; where it cannot be written, nothing outlives this process.
        classes: how many classes are told apart.
        new_alarms: makes the bundle's alarms, none raised.
    """

    def __init__(self, folder: Path, classes: int, new_alarms: Callable[[], Alarms]) -> None:
        self._classes = classes
        self._new_alarms = new_alarms
        self.alarms = new_alarms()
        self._window = Window(classes)
        self._lock = threading.Lock()
        self._file = _open(folder)
        self._next_save = time.monotonic() + SAVE_SECONDS
        self._failing = False
        if self._file is not None:
            self._load(self._file)

    def add(self, observations: Observations, now: float) -> None:
        """Sums answers."""
        with self._lock:
            self._window.add(observations, now)

    def sums(self, span_seconds: float, now: float) -> tuple[Sums, float]:
        """Sums of the last `span_seconds` over all workers, and since when they are."""
        with self._lock:
            total, since = self._window.sums(span_seconds, now)
        for arrays in self._siblings():
            try:
                total.values += Window.from_arrays(self._classes, arrays).sums(span_seconds, now)[0].values
            except ValueError as error:
                _logger.debug("a worker's window is passed over: %s", error)
        return total, since

    def other_alarms(self) -> Iterator[Alarms]:
        """The alarms of the other workers that live."""
        for arrays in self._siblings(STALE_SECONDS):
            alarms = self._new_alarms()
            try:
                alarms.restore(_alarms_of(arrays))
            except ValueError as error:
                _logger.debug("a worker's alarms are passed over: %s", error)
                continue
            yield alarms

    def save_if_due(self) -> None:
        """Saves every few seconds."""
        if time.monotonic() >= self._next_save:
            self.save()

    def save(self) -> None:
        """Saves the window and the alarms; what cannot be written is said once."""
        if self._file is None:
            return
        with self._lock:
            arrays = self._window.arrays()
        started = time.monotonic()
        try:
            self._file.save(arrays | {"alarms": np.array(self.alarms.to_json())})
            self._failing = False
        except OSError as error:
            if not self._failing:
                _logger.warning("%s cannot be written: %s; a restart would forget the rest", self._file.path, error)
            self._failing = True
        took = time.monotonic() - started
        self._next_save = time.monotonic() + max(SAVE_SECONDS, took / SAVING_SHARE)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _siblings(self, fresh_seconds: float | None = None) -> Iterator[Arrays]:
        return iter(()) if self._file is None else self._file.siblings(fresh_seconds)

    def _load(self, file: StateFile) -> None:
        arrays = file.load()
        if arrays is None:
            return
        try:
            window, alarms = Window.from_arrays(self._classes, arrays), self._new_alarms()
            alarms.restore(_alarms_of(arrays))
        except ValueError as error:
            file.set_aside(error)
        else:
            self._window, self.alarms = window, alarms


def _alarms_of(arrays: Arrays) -> str:
    if "alarms" not in arrays:
        raise ValueError("there are no alarms in it")
    return str(arrays["alarms"])


def _open(folder: Path) -> StateFile | None:
    try:
        return StateFile(folder)
    except OSError as error:
        _logger.warning("%s cannot be written: %s; windows and alarms will not outlive a restart", folder, error)
        return None
