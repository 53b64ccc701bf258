"""Timers by the thousand for the price of one: nearly all of them are cancelled before their time."""

import asyncio
from collections.abc import Callable

TICK_SECONDS = 0.05
"""How much later than asked for one may come."""


class CoarseTimers:
    """Calls back after a while, or a little later; used on one event loop.

    The loop's own timers are exact, and cost each request as much as its answer's JSON.
    """

    def __init__(self) -> None:
        self._due: dict[object, tuple[float, Callable[[], object]]] = {}
        self._ticking = False

    def call_later(self, seconds: float, callback: Callable[[], object]) -> object:
        """Will call back once, unless what is given back is cancelled before."""
        loop = asyncio.get_running_loop()
        timer = object()
        self._due[timer] = loop.time() + seconds, callback
        if not self._ticking:
            self._ticking = True
            loop.call_later(TICK_SECONDS, self._tick, loop)
        return timer

    def cancel(self, timer: object) -> None:
        """Forgets one, whether it has come or not."""
        self._due.pop(timer, None)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for timer in [timer for timer, (at, _) in self._due.items() if at <= now]:
            # Each in a turn of its own: one may fail, or cancel another.
            loop.call_soon(self._call, timer)
        self._ticking = bool(self._due)
        if self._ticking:
            loop.call_later(TICK_SECONDS, self._tick, loop)

    def _call(self, timer: object) -> None:
        if timer in self._due:
            _, callback = self._due.pop(timer)
            callback()
