"""What a study measures, of which runs, and the command that makes one part of it anew."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

PartName = Literal["losses", "heads", "labels", "slopes", "gradients", "timing", "methods", "classifiers"]
PARTS: tuple[PartName, ...] = get_args(PartName)

DEFAULT_RUN = Path("runs/fashion-mnist")
DEFAULT_DOCUMENT = Path("docs/results.md")


@dataclass(frozen=True)
class StudyOptions:
    """One study.

    Raises:
        ValueError: no run, no oracle seed, no resample.
    """

    runs: tuple[Path, ...] = (DEFAULT_RUN,)
    """Finished runs that differ in their seed alone; what is measured on each is pooled."""
    classifiers: tuple[Path, ...] = ()
    """Further runs, of which the classifier alone is looked at: trained with another loss, or for the ensemble."""
    parts: tuple[PartName, ...] = PARTS
    """Which tables to make."""
    bundle: Path | None = None
    """Whose graphs are timed; the first run's where not given."""
    oracle_seeds: int = 3
    """Oracles fitted for each row, with seeds 0, 1, 2 .."""
    resamples: int = 1000
    """Of the bootstrap."""
    to: Path = DEFAULT_DOCUMENT
    """Document whose tables are replaced; the figures go beside it as JSON."""

    def __post_init__(self) -> None:
        if not self.runs:
            raise ValueError("--runs names no run; give the folder of one at least")
        for option in ("oracle_seeds", "resamples"):
            if getattr(self, option) < 1:
                raise ValueError(f"--{option.replace('_', '-')} is {getattr(self, option)}; wanted at least 1")

    @property
    def seeds(self) -> range:
        """Of the oracles."""
        return range(self.oracle_seeds)

    def command(self, part: PartName) -> str:
        """What to type for this part alone.

        >>> StudyOptions(runs=(Path("runs/a"), Path("runs/b")), oracle_seeds=5).command("slopes")
        'trustserve-train study --runs runs/a runs/b --oracle-seeds 5 --parts slopes'
        """
        words = ["trustserve-train", "study", "--runs", *map(str, self.runs)]
        if self.classifiers:
            words += ["--classifiers", *map(str, self.classifiers)]
        if self.bundle is not None:
            words += ["--bundle", str(self.bundle)]
        for option in ("oracle_seeds", "resamples"):
            if getattr(self, option) != getattr(StudyOptions, option):
                words += [f"--{option.replace('_', '-')}", str(getattr(self, option))]
        return shlex.join([*words, "--parts", part])
