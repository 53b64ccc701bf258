"""Refitting a bundle to live traffic: reads the journal here, and has the training package do the rest.

The service installs without what fits heads, and never imports it: the feedback goes through a file, which may also be
carried to a machine that has the training package.
"""

import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from service.journal.journal import open_journal
from service.journal.records import LabelledColumns
from trust.manifest import Manifest

NEEDED = ("torch", "onnx", "sklearn", "scipy")
"""What tells whether the training package can run here."""
MOST_LABELS = 100_000
_KEEP_ALL_DAYS, _KEEP_ALL_ROWS = 36_500, 10**12
"""Reading must forget nothing: how long answers are kept is the running service's to say."""


class NothingToRefit(Exception):
    """There is no journal, no feedback on this bundle in it, or nothing here that could refit."""


def collect_feedback(url: str, manifest: Manifest, days: float) -> LabelledColumns:
    """The labelled answers of one bundle in the last days, the newest `MOST_LABELS`.

    Raises:
        NothingToRefit: there can be no journal at the URL, there is none, or no label is in it.
        JournalAway: the database cannot be asked.
    """
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).is_file():
        raise NothingToRefit(f"there is no journal at {url}; give the one of the service with --journal")
    try:
        journal = open_journal(url, days=_KEEP_ALL_DAYS, rows=_KEEP_ALL_ROWS)
    except ValueError as error:
        raise NothingToRefit(str(error)) from None
    try:
        # The end is open, should another machine's clock be ahead.
        since, until = time.time() - days * 86_400, time.time() + 86_400
        found = journal.labelled(manifest.name, manifest.version, since, until, MOST_LABELS)
    finally:
        journal.close()
    if not len(found.target):
        raise NothingToRefit(
            f"the journal has no labelled answer of {manifest.name} {manifest.version} in the last {days:g} days; "
            "give the bundle that is served, or more --days"
        )
    return found


def write_feedback(path: Path, manifest: Manifest, found: LabelledColumns) -> None:
    """Writes labelled answers as the file of arrays that `trustserve-train recalibrate` takes."""
    columns: dict[str, Any] = {
        "head_inputs": found.head_inputs,
        "novelty": found.novelty,
        "predicted": found.predicted,
        "target": found.target,
        "confidence": found.confidence,
        "trust": found.trust,
        "sampling_probability": found.sampling_probability,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    # Opened here: numpy would add a suffix of its own to another name.
    with path.open("wb") as file:
        np.savez_compressed(file, model=np.array(manifest.name), version=np.array(manifest.version), **columns)


def refit(bundle: Path, feedback: Path, to: Path, options: Sequence[str]) -> int:
    """Exit status of `trustserve-train recalibrate`, run as a process of its own.

    Raises:
        NothingToRefit: what it needs is not installed here.
    """
    arguments = ["recalibrate", str(bundle), "--feedback", str(feedback), "--to", str(to), *options]
    if absent := [name for name in NEEDED if find_spec(name) is None]:
        raise NothingToRefit(
            f"refitting needs {', '.join(absent)}: pip install 'trustserve[training]', or carry {feedback} and the "
            f"bundle to where that is installed and run there: trustserve-train {' '.join(arguments)}"
        )
    return subprocess.run([sys.executable, "-m", "training.cli", *arguments], check=False).returncode
