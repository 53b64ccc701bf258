"""The log of a run: a line for whoever reads along."""

from datetime import datetime
from pathlib import Path


def log(folder: Path, line: str) -> None:
    """Adds a line, with the time before it, to `log.txt`."""
    with (folder / "log.txt").open("a") as file:
        file.write(f"{datetime.now().isoformat(' ', 'seconds')}  {line}\n")
