"""Images listed in a CSV file with the columns path and label, and perhaps split (train or test)."""

import csv
from functools import partial
from pathlib import Path

import numpy as np

from training.data.undecoded import ImageFiles, Source

CLASSES = "classes.txt"
"""Beside the CSV file: class names, one a line, in the order of the classifier's outputs."""
_COLUMNS = {"path", "label"}
_SPLITS = ("train", "test")


def open_listing(path: str, cache: Path) -> Source:
    """`csv:FILE`; paths are relative to the file, classes are the labels, sorted, unless `classes.txt` orders them.

    Raises:
        ValueError: no such file, a column is missing, a line is incomplete, a path comes twice, or labels and
            `classes.txt` disagree.
    """
    del cache
    file = Path(path)
    if not file.is_file():
        raise ValueError(f"{path or 'csv:'} is no file; wanted csv:FILE with the columns path,label")
    rows = _read_rows(file)
    classes = _order_classes(file, {row["label"] for row in rows})
    of_split = {split: [row for row in rows if row.get("split", "train") == split] for split in _SPLITS}
    train, test = (
        partial(_list_rows, file.parent, of_split[split], classes) if of_split[split] else None for split in _SPLITS
    )
    return Source(file.stem, classes, train, test)


def _read_rows(file: Path) -> list[dict[str, str]]:
    # Spreadsheets begin a file with a byte order mark.
    with file.open(newline="", encoding="utf-8-sig") as opened:
        reader = csv.DictReader(opened)
        missing = _COLUMNS - set(reader.fieldnames or ())
        if missing:
            raise ValueError(f"{file} has no column {', '.join(sorted(missing))}; wanted the header path,label[,split]")
        rows = list(reader)
    if not rows:
        raise ValueError(f"{file} lists no image; wanted a line path,label for each")
    seen: set[str] = set()
    for line, row in enumerate(rows, start=2):
        if not row["path"] or not row["label"]:
            raise ValueError(f"{file} line {line} lacks a path or a label")
        if row.get("split", "train") not in _SPLITS:
            raise ValueError(f"{file} line {line} has split {row['split']!r}; wanted train or test")
        if row["path"] in seen:
            raise ValueError(f"{file} line {line} lists {row['path']} for the second time; wanted each image once")
        seen.add(row["path"])
    return rows


def _order_classes(file: Path, labels: set[str]) -> tuple[str, ...]:
    order = file.parent / CLASSES
    if not order.is_file():
        return tuple(sorted(labels))
    classes = tuple(line.strip() for line in order.read_text(encoding="utf-8").splitlines() if line.strip())
    unknown = labels - set(classes)
    if unknown:
        raise ValueError(f"{file} has labels that are not in {order}: {', '.join(sorted(unknown))}")
    if len(set(classes)) < len(classes):
        raise ValueError(f"{order} names a class twice")
    return classes


def _list_rows(root: Path, rows: list[dict[str, str]], classes: tuple[str, ...]) -> ImageFiles:
    position = {name: index for index, name in enumerate(classes)}
    targets = np.array([position[row["label"]] for row in rows], np.int64)
    return ImageFiles(root, tuple(row["path"] for row in rows), targets)
