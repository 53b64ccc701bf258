"""What a fit leaves behind in the folder of its run: log, TensorBoard events, a checkpoint."""

import re
from dataclasses import dataclass
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


@dataclass(frozen=True)
class Record:
    """Where a fit writes, and whether it goes on from what is there."""

    folder: Path
    """Of the run, with `log.txt` and `events/<title>/`."""
    checkpoints: Path
    """Folder of `<title>.pt`."""
    resume: bool = False
    """Go on from the checkpoint, where there is one; a fit that was finished is not done again."""
    checkpoint_seconds: float = 300.0
    """At most about this long between two checkpoints; there is one more at the end of each epoch."""

    def events(self, title: str) -> Path:
        """Folder of a fit's events."""
        return events_folder(self.folder, title)

    def checkpoint(self, title: str) -> Path:
        """File of a fit's checkpoint."""
        return self.checkpoints / f"{_file_name(title)}.pt"


def events_folder(run_folder: Path, title: str) -> Path:
    """Folder of a fit's TensorBoard events, within that of its run."""
    return run_folder / "events" / _file_name(title)


def read_loss_curve(run_folder: Path, title: str) -> tuple[list[int], list[float]]:
    """Steps done, from 1 over all epochs, and the loss there (on a GPU: the mean over the steps since the last).

    Args:
        run_folder: of the run.
        title: of the fit, such as "classifier" or "oracle default-0".

    Raises:
        FileNotFoundError: if no such fit has left events there.
    """
    folder = events_folder(run_folder, title)
    if not folder.is_dir():
        known = sorted(path.name for path in (run_folder / "events").glob("*"))
        raise FileNotFoundError(f"{run_folder} has no loss curve of {title!r}; there are: {', '.join(known) or 'none'}")
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    losses = events.Scalars("loss") if "loss" in events.Tags()["scalars"] else []
    return [event.step for event in losses], [event.value for event in losses]


def _file_name(title: str) -> str:
    return re.sub(r"[^\w.-]+", "-", title)
