"""Garbage collection out of the requests' way, and out of the start's."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def kept() -> Iterator[None]:
    """Spares the collector what is made within, for imports: what they make stays as long as the process."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def settle() -> None:
    """Spares the collector what is there now: app, settings, networks live as long as the service.

    Otherwise it looks through all of it again and again, for tens of milliseconds in which no request is answered.
    """
    gc.collect()
    gc.freeze()


def settle_anew() -> None:
    """The same where something was replaced that was spared, such as a bundle: it is collected first."""
    gc.unfreeze()
    settle()


def is_settled() -> bool:
    """Whether anything is spared."""
    return gc.get_freeze_count() > 0
