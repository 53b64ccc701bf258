"""The C library's memory: one arena for all threads, and what is free goes back to the system.

Only glibc can be told so; elsewhere nothing happens.
"""

import ctypes
import os
from typing import Any

_ARENA_MAX = -8
"""M_ARENA_MAX of glibc's malloc.h."""


def share_one_arena() -> None:
    """Has all threads take memory from one place; call it before there are any.

    By default each has its own, and keeps there what it freed: 5 MB more once the small bundle ran batches of many.
    """
    if (mallopt := _function("mallopt")) is not None:
        mallopt(_ARENA_MAX, 1)


def give_back() -> None:
    """What was freed goes back to the system: malloc would keep it, 10 MB after the small bundle was opened."""
    if (malloc_trim := _function("malloc_trim")) is not None:
        malloc_trim(0)


def _function(name: str) -> Any:
    return getattr(ctypes.CDLL(None), name, None) if os.name == "posix" else None
