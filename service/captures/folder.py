"""Captured images on disk: one folder for each class and decision of a model's version, two files a capture.

`<request id>.png` are the pixels and nothing else; `<request id>.json` says what the answer was, and its presence
makes the two a capture. A file's time is that of its answer. Several processes may share the folder.
"""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from service.http.request_id import is_request_id
from service.inference.answer import Answer
from trust.manifest import Manifest

RECORD = ".json"
IMAGE = ".png"


@dataclass(frozen=True, slots=True)
class Capture:
    """The answer to a captured image, and the random number in [0, 1) that won it its place."""

    request_id: str
    captured_at: float
    model: str
    version: str
    label: str
    class_index: int
    confidence: float
    trust: float
    trusted: bool
    key: float

    @classmethod
    def of(cls, request_id: str, answer: Answer, manifest: Manifest, captured_at: float, key: float) -> Self:
        """What is to be known of an answer given at `captured_at`, in seconds since the epoch."""
        return cls(
            request_id=request_id,
            captured_at=captured_at,
            model=manifest.name,
            version=manifest.version,
            label=manifest.classes[answer.class_index],
            class_index=answer.class_index,
            confidence=answer.confidence,
            trust=answer.trust,
            trusted=answer.trusted,
            key=key,
        )

    @property
    def cell(self) -> str:
        return cell_name(self.model, self.version, self.class_index, self.trusted)

    @property
    def time(self) -> str:
        """When it was answered, ISO 8601 in UTC."""
        return datetime.fromtimestamp(self.captured_at, UTC).isoformat(timespec="milliseconds")


def cell_name(model: str, version: str, class_index: int, trusted: bool) -> str:
    """The class and decision that captures stand for, as a path below the folder of all of them.

    >>> cell_name("tiny", "1.0.0", 3, trusted=False)
    'tiny@1.0.0/3-untrust'
    """
    return f"{model}@{version}/{class_index}-{'trust' if trusted else 'untrust'}"


@dataclass(frozen=True, slots=True)
class Kept:
    """A capture as it lies on disk."""

    record: Path
    captured_at: float
    bytes: int

    @property
    def cell(self) -> str:
        """As of `Capture`."""
        return "/".join(self.record.parts[-3:-1])

    def read(self) -> Capture | None:
        """What its record says; None where it is gone or is no record."""
        try:
            return Capture(**json.loads(self.record.read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def remove(self) -> None:
        """Takes it away, the record first: an image alone is no capture."""
        self.record.unlink(missing_ok=True)
        self.record.with_suffix(IMAGE).unlink(missing_ok=True)


class CaptureFolder:
    """The folder of all captures; it appears with the first one."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def save(self, capture: Capture, image: bytes) -> None:
        """Writes both files, each whole or not at all, for this user's eyes only.

        Raises:
            OSError: the disk is full or refuses.
        """
        record = _file(self._root / capture.cell, capture.request_id, RECORD)
        record.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(record.with_suffix(IMAGE), image, capture.captured_at)
        _write(record, json.dumps(asdict(capture)).encode(), capture.captured_at)

    def find(self, request_id: str) -> Path | None:
        """The image of a request, None where it was not captured or the id is no request id."""
        if not is_request_id(request_id):
            return None
        records = (_file(cell, request_id, RECORD) for cell in self._root.glob("*/*"))
        return next((record.with_suffix(IMAGE) for record in records if record.is_file()), None)

    def read_image(self, request_id: str) -> bytes | None:
        """The PNG file of a request; None as of `find`, or where it goes just now."""
        path = self.find(request_id)
        with suppress(FileNotFoundError):
            return path.read_bytes() if path else None
        return None

    def kept(self, cell: str = "*/*") -> list[Kept]:
        """The captures of a cell, by default all; one that goes meanwhile is left out."""
        found = []
        for record in self._root.glob(f"{cell}/*{RECORD}"):
            with suppress(FileNotFoundError):
                status, image = record.stat(), record.with_suffix(IMAGE).stat()
                found.append(Kept(record, status.st_mtime, status.st_size + image.st_size))
        return found

    def remove_halves(self, older_than: float) -> None:
        """Takes away what a process that was killed left half written before then."""
        for path in self._root.glob("*/*/*"):
            if path.suffix == RECORD or path.with_suffix(RECORD).exists():
                continue
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < older_than:
                    path.unlink()


def _file(folder: Path, request_id: str, suffix: str) -> Path:
    """The one place where an id, which callers choose, becomes a file's name.

    Request ids hold no separator, and with a suffix `.` and `..` are plain names.
    """
    assert is_request_id(request_id), f"{request_id!r} is no request id"
    return folder / f"{request_id}{suffix}"


def _write(path: Path, content: bytes, captured_at: float) -> None:
    # Worker processes may write at once; each has its own partial file.
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
        os.utime(partial, (captured_at, captured_at))
        os.replace(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
