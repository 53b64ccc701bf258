"""Whether the networks still answer: knows of a batch that hangs, and of networks that fail on any image."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

RETRY_SECONDS = 1.0

_logger = logging.getLogger("trustserve")


class Watchdog:
    """Told by the inference threads, asked by the event loop.

    Args:
        hang_seconds: how long a batch may run.
        clock: seconds, growing.
    """

    def __init__(self, hang_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._hang_seconds = hang_seconds
        self._clock = clock
        self._began: dict[object, float] = {}
        self._failure: str | None = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Around a batch."""
        batch = object()
        self._began[batch] = self._clock()
        try:
            yield
        finally:
            del self._began[batch]

    def failed(self, error: Exception) -> None:
        """The networks fail on an image that they must be able to answer."""
        if self._failure is None:
            _logger.error("the networks fail: %s; not ready until they answer again", error)
        # Of several lines, onnxruntime's first says what happened.
        self._failure = str(error).strip().partition("\n")[0][:300] or type(error).__name__

    def recovered(self) -> None:
        """They answer."""
        if self._failure is not None:
            _logger.warning("the networks answer again")
        self._failure = None

    @property
    def retry_seconds(self) -> float | None:
        """After how long to try again; None where nothing is wrong."""
        return None if self._failure is None else RETRY_SECONDS

    def hanging(self) -> bool:
        """Whether a batch runs for longer than it may."""
        # A list first, in one step: an inference thread may begin or end one just now.
        began = list(self._began.values())
        return bool(began) and self._clock() - min(began) > self._hang_seconds

    def trouble(self) -> str | None:
        """Why nothing can be answered now, if so."""
        if self.hanging():
            return f"a batch runs for more than {self._hang_seconds:g} s; not ready until it ends"
        if self._failure is not None:
            return f"the networks fail: {self._failure}; they are tried again every {RETRY_SECONDS:g} s"
        return None
