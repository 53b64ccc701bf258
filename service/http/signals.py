"""What signals do: SIGTERM ends the service in two steps or at once, SIGHUP has it look for a new bundle.

Signals arrive in the main thread alone: elsewhere, as in tests, they are left as they are.
"""

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


@contextmanager
def in_two_steps(begin: Callable[[], None], drain_seconds: float) -> Iterator[None]:
    """Inside, SIGTERM first calls `begin`, and `drain_seconds` later does what it would have done; the second, at once.

    In between the service is not ready, and still answers: load balancers need that moment to see it. Connections that
    it opens meanwhile must not be refused, and requests that are on their way must not be reset.
    """
    previous = signal.getsignal(signal.SIGTERM)
    if not _in_main_thread() or not callable(previous):
        yield
        return
    loop = asyncio.get_running_loop()
    begun = False

    def on_signal(number: int, frame: FrameType | None) -> None:
        nonlocal begun
        if begun:
            previous(number, frame)
        else:
            begun = True
            begin()
            loop.call_later(drain_seconds, previous, number, frame)

    signal.signal(signal.SIGTERM, on_signal)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextmanager
def on_hangup(action: Callable[[], Awaitable[None]]) -> Iterator[None]:
    """Inside, SIGHUP starts a task of this action."""
    if not _in_main_thread() or not hasattr(signal, "SIGHUP"):
        yield
        return
    loop = asyncio.get_running_loop()
    running: set[asyncio.Future[None]] = set()

    def start() -> None:
        task = asyncio.ensure_future(action())
        # The loop alone would let go of it.
        running.add(task)
        task.add_done_callback(running.discard)

    loop.add_signal_handler(signal.SIGHUP, start)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)


def end_at_once() -> NoReturn:
    """Ends the process, and waits for none of its threads: one that no longer has anything to lose."""
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
