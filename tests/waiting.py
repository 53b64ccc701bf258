"""What happens beside the test comes true a little later: a test looks until it does."""

import time
from collections.abc import Callable
from typing import Any


def wait_until(condition: Callable[[], Any], seconds: float = 60, why: Callable[[], str] = lambda: "") -> None:
    """Looks again and again; the time is for a busy machine, mostly it takes none.

    Args:
        condition: which is to come true.
        seconds: until it has failed.
        why: told then, such as what a server logged.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"it did not come true in {seconds:g} s; {why()}"
        time.sleep(0.02)
