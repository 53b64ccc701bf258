"""Files that are whole or not there, also when the process is killed while it writes."""

import os
from collections.abc import Callable
from pathlib import Path


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Has `write` fill a file beside the path, then puts it in the path's place."""
    partial = path.with_name(f"{path.name}.partial")
    write(partial)
    os.replace(partial, path)
