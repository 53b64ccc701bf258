"""Puts a finished folder in the place of another, so that a crash leaves the old one or the new one."""

import ctypes
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trust.manifest import read_manifest


@contextmanager
def rewriting(bundle: Path, place: Path) -> Iterator[Path]:
    """A copy of the bundle beside its place, to be changed; put there whole unless an error is raised.

    Raises:
        BundleError: something other than a bundle is in the place.
    """
    if place.exists():
        read_manifest(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    try:
        shutil.copytree(bundle, draft, dirs_exist_ok=True)
        yield draft
        draft.chmod(0o755)
        put_in_place(draft, place)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def put_in_place(draft: Path, place: Path) -> None:
    """Renames the draft to its place, or exchanges the two in one step where something is there."""
    # The bytes first, then the name: after a power cut the name must not stand for half a bundle.
    os.sync()
    if not place.exists():
        os.rename(draft, place)
    elif not _exchange(draft, place):
        # No such system call here: two renames, and the old bundle lies beside in between.
        old = place.with_name(f".{place.name}-old")
        shutil.rmtree(old, ignore_errors=True)
        os.rename(place, old)
        os.rename(draft, place)
        shutil.rmtree(old)


def _exchange(first: Path, second: Path) -> bool:
    """Swaps two paths atomically (Linux's renameat2); False where that cannot be done."""
    current_directory, exchange = -100, 2
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    paths = os.fsencode(first.absolute()), os.fsencode(second.absolute())
    return bool(renameat2(current_directory, paths[0], current_directory, paths[1], exchange) == 0)
