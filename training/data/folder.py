"""A folder with one folder of images per class, directly or under `train` and `test` (or `val`)."""

import os
from functools import partial
from pathlib import Path

import numpy as np

from training.data.undecoded import ImageFiles, Source, sort_out

TEST_FOLDERS = ("test", "val")


def open_folder(path: str, cache: Path) -> Source:
    """`imagefolder:PATH`; classes are the folders' names, sorted.

    Raises:
        ValueError: no path, no folder, or fewer than two class folders.
    """
    del cache
    if not path:
        raise ValueError("data 'imagefolder' needs a path; wanted imagefolder:PATH")
    return folder_source(Path(path))


def folder_source(root: Path) -> Source:
    """Images of a folder; only `PATH/test` or `PATH/val` is needed where there is nothing to learn.

    Raises:
        ValueError: fewer than two class folders, or a class to test that is not one to learn.
    """
    train = root / "train"
    test = next((root / name for name in TEST_FOLDERS if (root / name).is_dir()), None)
    if train.is_dir():
        classes = class_folders(train)
        if test is not None and (unknown := set(_folders(test)) - set(classes)):
            raise ValueError(f"{test} has folders that {train} has not: {', '.join(sorted(unknown))}")
        listed_test = None if test is None else partial(list_folder, test, classes)
        return Source(root.resolve().name, classes, partial(list_folder, train, classes), listed_test)
    if test is not None and set(_folders(root)) <= set(TEST_FOLDERS):
        classes = class_folders(test)
        return Source(root.resolve().name, classes, None, partial(list_folder, test, classes))
    classes = class_folders(root)
    return Source(root.resolve().name, classes, partial(list_folder, root, classes), None)


def class_folders(root: Path) -> tuple[str, ...]:
    """Names of the class folders, sorted.

    Raises:
        ValueError: fewer than two.
    """
    found = tuple(_folders(root))
    if len(found) < 2:
        raise ValueError(f"{root} has {len(found)} class folders; wanted at least 2, one folder per class")
    return found


def list_folder(root: Path, classes: tuple[str, ...]) -> ImageFiles:
    """Every image below the class folders, sorted; other files are named with the reason."""
    loose = [(entry.name, "lies in no class folder") for entry in sorted(root.iterdir()) if entry.is_file()]
    per_class = [sort_out(_files(root, name)) for name in classes]
    paths = [path for taken, _ in per_class for path in taken]
    targets = np.repeat(np.arange(len(classes)), [len(taken) for taken, _ in per_class])
    others = [*loose, *(other for _, of_class in per_class for other in of_class)]
    return ImageFiles(root, tuple(paths), targets, tuple((str(root / path), reason) for path, reason in others))


def _folders(root: Path) -> list[str]:
    if not root.is_dir():
        return []
    return sorted(entry.name for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _files(root: Path, name: str) -> list[str]:
    # Text, not Path objects: of 1.28 M files these would take a gigabyte.
    return sorted(
        os.path.relpath(os.path.join(folder, file), root)
        for folder, _, files in os.walk(root / name, followlinks=True)
        for file in files
    )
