"""Which class each of the classifier's scores stands for, and where the folders of the labelled set come in."""

import difflib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training.data.dataset import Targets

_SHOWN = 5


def match_classes(
    scores: int, folders: Sequence[str], file: Path | None, targets: Targets
) -> tuple[tuple[str, ...], Targets]:
    """Names in the order of the scores, and the targets counted likewise.

    Args:
        scores: number K of the classifier's classes.
        folders: class names of the labelled set, as its targets count them.
        file: names in the order of the scores; without it, that of the folders.
        targets: (N,) positions in `folders`.

    Raises:
        ValueError: the numbers differ, or a folder is no class.
    """
    if file is None:
        if len(folders) != scores:
            raise ValueError(
                f"the classifier has {scores} classes, the labelled set {len(folders)} ({_some(folders)}); give the "
                "names of all in the order of the scores with --classes FILE, each folder named after one"
            )
        return tuple(folders), targets
    aliases = read_class_names(file)
    if len(aliases) != scores:
        raise ValueError(f"{file} names {len(aliases)} classes, the classifier has {scores}")
    positions = {alias: index for index, of_class in enumerate(aliases) for alias in of_class}
    if absent := [folder for folder in folders if folder not in positions]:
        near = difflib.get_close_matches(absent[0], list(positions), n=1)
        hint = f"; near {absent[0]!r}: {near[0]!r}" if near else ""
        raise ValueError(f"{len(absent)} of {len(folders)} folders are not in {file}: {_some(absent)}{hint}")
    return tuple(of_class[-1] for of_class in aliases), np.array([positions[name] for name in folders])[targets]


def read_class_names(file: Path) -> list[tuple[str, ...]]:
    """Every name of each class, the one to show last; in the order of the scores.

    One name a line, or JSON: ["cat", "dog"], {"0": "cat", "1": "dog"}, {"cat": 0, "dog": 1}, or ImageNet's
    {"0": ["n01440764", "tench"], ...}, whose folders may have either name.

    Raises:
        ValueError: the file is missing, empty, names a class twice, or is JSON of another form.
    """
    if not file.is_file():
        raise ValueError(f"--classes {file}: no such file")
    text = file.read_text()
    if file.suffix == ".json":
        try:
            names = _from_json(json.loads(text))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{file} is no JSON list of class names, nor a map from each of 0, 1, ... to a name or back: {error}"
            ) from error
    else:
        names = [(line.strip(),) for line in text.splitlines() if line.strip()]
    shown = [of_class[-1] for of_class in names]
    if len(shown) < 2 or len(set(shown)) < len(shown):
        twice = _some([name for name in set(shown) if shown.count(name) > 1])
        raise ValueError(f"{file} names {len(shown)} classes{f', some twice: {twice}' if twice else '; wanted 2'}")
    return names


def _from_json(read: Any) -> list[tuple[str, ...]]:
    if isinstance(read, dict) and all(isinstance(value, int) for value in read.values()):
        read = {str(position): name for name, position in read.items()}
    if isinstance(read, dict):
        read = [read[str(position)] for position in range(len(read))]
    return [tuple(map(str, each)) if isinstance(each, list) else (str(each),) for each in read]


def _some(names: Sequence[str]) -> str:
    rest = ", ..." if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + rest
