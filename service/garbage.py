"""Garbage collection out of the requests' way, and out of the start's."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

OBJECTS = 20_000
"""That are made, and not yet unmade, between two looks of the collector: Python's 700 are those of a few requests."""


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

    Otherwise it looks through all of it again and again, for tens of milliseconds in which no request is answered. What
    requests leave behind is collected as before, but not after every few of them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS, *gc.get_threshold()[1:])


def settle_anew() -> None:
    """The same where something was replaced that was spared, such as a bundle: it is collected first."""
    gc.unfreeze()
    settle()


def is_settled() -> bool:
    """Whether anything is spared."""
    return gc.get_freeze_count() > 0
