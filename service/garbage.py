"""Garbage collection out of the requests' way."""

import gc


def settle() -> None:
    """Spares the collector what is there now: modules, settings, networks live as long as the service.

    Otherwise it looks through all of it again and again, for tens of milliseconds in which no request is answered. What
    was let go of since the last time, such as a bundle that was replaced, is collected first.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def is_settled() -> bool:
    """Whether `settle` was called."""
    return gc.get_freeze_count() > 0
