"""State files: what the monitor knows outlives a restart, and the workers of one service see each other's.

    <state>/<digest of the bundle>/0.npz  0.lock  1.npz  1.lock  ...

One file a worker. A worker holds its slot's lock as long as it lives and no longer, however it dies; the next to start
takes the first free slot and goes on with what stands there.
"""

import hashlib
import logging
import os
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from service.inference.bundle import Bundle
from trust.manifest import MANIFEST

Arrays = Mapping[str, NDArray[Any]]

_logger = logging.getLogger("trustserve")


def state_digest(bundle: Bundle, *meaning: float | None) -> str:
    """Names what a state belongs to: the bundle with all its files, and the settings that its sums depend on."""
    manifest = (bundle.path / MANIFEST).read_bytes()
    return hashlib.sha256(manifest + repr(meaning).encode()).hexdigest()[:16]


class StateFile:
    """The file of this worker, beside those of its siblings.

    Args:
        folder: of all workers; made where it is missing.

    Raises:
        OSError: the folder cannot be made or written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for slot in count():
            # Not bound to a thread: the one that saves is not the one that opened.
            self._lock = FileLock(folder / f"{slot}.lock", thread_local=False)
            try:
                self._lock.acquire(timeout=0)
            except Timeout:
                continue
            self.path = folder / f"{slot}.npz"
            return

    def load(self) -> Arrays | None:
        """What was saved last, or None; a file that cannot be read is set aside."""
        if not self.path.exists():
            return None
        try:
            return _read(self.path)
        except ValueError as error:
            self.set_aside(error)
            return None

    def set_aside(self, reason: ValueError) -> None:
        """Keeps a file that is no state out of the way, for whoever wants to know why."""
        aside = self.path.with_suffix(".corrupt")
        os.replace(self.path, aside)
        _logger.warning(
            "%s is no state of the monitor: %s; moved to %s, counting begins anew", self.path, reason, aside
        )

    def save(self, arrays: Arrays) -> None:
        """Replaces the file: it is the old one or the new one, whole, whenever the process or the power goes.

        Raises:
            OSError: it cannot be written; the old one stands.
        """
        descriptor, draft = tempfile.mkstemp(prefix=".draft-", dir=self._folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                np.savez(file, allow_pickle=False, **arrays)
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, self.path)
        except BaseException:
            os.unlink(draft)
            raise

    def siblings(self, fresh_seconds: float | None = None) -> Iterator[Arrays]:
        """What the other workers saved last, also those that are no more; an unreadable file is its owner's to mend.

        Args:
            fresh_seconds: leave out what was saved longer ago.
        """
        for path in sorted(self._folder.glob("*.npz")):
            try:
                if path != self.path and (fresh_seconds is None or time.time() - path.stat().st_mtime <= fresh_seconds):
                    yield _read(path)
            except (OSError, ValueError) as error:
                _logger.debug("%s is passed over: %s", path, error)

    def close(self) -> None:
        """Frees the slot."""
        self._lock.release()


def _read(path: Path) -> Arrays:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, EOFError, ValueError, KeyError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
