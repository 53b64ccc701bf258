"""Files that gave no image, and why: counted, shown, and listed in full in a file beside the decoded pixels."""

import csv
from dataclasses import dataclass
from pathlib import Path

_SHOWN = 3


@dataclass(frozen=True)
class Skipped:
    """What was found among the images and is none.

    >>> print(Skipped((("cat/thumbs.db", "no image by its suffix"),)))
    1 file skipped: cat/thumbs.db (no image by its suffix)
    """

    files: tuple[tuple[str, str], ...] = ()
    """Path and reason of each."""
    listings: tuple[Path, ...] = ()
    """CSV files of path,reason that list them all."""

    def __len__(self) -> int:
        return len(self.files)

    def __str__(self) -> str:
        """One sentence: how many, the first few with reasons, where all are listed."""
        shown = "; ".join(f"{path} ({reason})" for path, reason in self.files[:_SHOWN])
        more = "; ..." if len(self) > _SHOWN else ""
        where = f"; all in {', '.join(map(str, self.listings))}" if self.listings else ""
        return f"{len(self)} file{'s' * (len(self) != 1)} skipped: {shown}{more}{where}"

    def __add__(self, other: "Skipped") -> "Skipped":
        return Skipped(self.files + other.files, self.listings + other.listings)


def write_skipped(path: Path, files: list[tuple[str, str]]) -> None:
    """Lists path and reason of each file."""
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("path", "reason"), *files])


def read_skipped(path: Path) -> Skipped:
    """What `write_skipped` listed."""
    with path.open(newline="") as file:
        files = tuple((name, reason) for name, reason in list(csv.reader(file))[1:])
    return Skipped(files, (path,) if files else ())
