"""What a process takes of the machine, as Linux knows it."""

import os
from dataclasses import dataclass
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Footprint:
    """Of one process, now."""

    resident_bytes: int
    descriptors: int
    threads: int


def footprint(pid: int) -> Footprint:
    """Memory, open files and threads of a process."""
    folder = Path(f"/proc/{pid}")
    return Footprint(
        resident_bytes=int((folder / "statm").read_text().split()[1]) * _PAGE_BYTES,
        descriptors=len(list((folder / "fd").iterdir())),
        threads=len(list((folder / "task").iterdir())),
    )


def virtual_bytes(pid: int) -> int:
    """Address space of a process, what RLIMIT_AS limits."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * _PAGE_BYTES
