"""What a fit leaves behind in the folder of its run."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Record:
    """Where a fit writes, and whether it goes on from what is there."""

    folder: Path
    """Of the run: `log.txt`, and TensorBoard events under `events/<title>/`."""
    checkpoints: Path
    """Of the step: `<title>.pt`."""
    resume: bool = False
    """Go on from the checkpoint, where there is one; a fit that was finished is not done again."""
    checkpoint_seconds: float = 300.0
    """At most this long between two checkpoints; one more at the end of each epoch."""
