"""What is to be served: which bundle answers, and which one beside it is tried out in the shadow.

All workers of a service serve the same: what one of them was told by the operator it leaves on the board, where the
others find it, and whoever takes the place of a worker that died.
"""

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError


class Serving(BaseModel):
    """The bundles to serve."""

    model_config = ConfigDict(frozen=True)

    model: Path
    """Folder of the bundle that answers."""
    shadow: Path | None = None
    """Folder of the bundle that answers beside it, to nobody."""
    shadow_share: float = 1.0
    """Of the requests, those that the shadow sees too."""
    told: int = 0
    """How often somebody said so: the same folder said again may hold something new."""


class Board:
    """Where the workers of one service leave what is to be served.

    Args:
        folder: that they share; None where there is one worker.
        start: what is served until somebody says otherwise.
    """

    def __init__(self, folder: Path | None, start: Serving) -> None:
        self._file = None if folder is None else folder / "serving.json"
        self._serving = start
        self._read: os.stat_result | None = None

    def read(self) -> Serving:
        """What is to be served now; where the file cannot be read, what was to be before."""
        if self._file is None:
            return self._serving
        try:
            found = self._file.stat()
            if self._read is None or (found.st_ino, found.st_mtime_ns) != (self._read.st_ino, self._read.st_mtime_ns):
                self._serving = Serving.model_validate_json(self._file.read_bytes())
                self._read = found
        except (OSError, ValidationError):
            pass
        return self._serving

    def write(self, serving: Serving) -> None:
        """Leaves it for all workers."""
        self._serving = serving
        if self._file is not None:
            new = self._file.with_suffix(f".{os.getpid()}")
            new.write_text(serving.model_dump_json())
            new.replace(self._file)
