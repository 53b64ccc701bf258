"""Folders that are either whole or not there, made by one process while others wait.

What takes minutes to make (decoded pixels, frozen outputs) is made under another name and renamed when it is done: a
process killed on the way leaves nothing half-taken, and its remains are cleared away by the next.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock


def made_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """The folder, filled by `make` if it is not there yet.

    Args:
        folder: what is wanted; never changed once it exists.
        make: fills the empty folder it is given; if it raises, nothing is kept.
    """
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    # The kernel lets go of the lock of a process that dies.
    with FileLock(f"{folder}.lock"):
        if not folder.is_dir():
            partial = folder.with_name(f"{folder.name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            make(partial)
            partial.rename(folder)
    return folder
