"""How long an answer is waited for: not beyond the request's deadline, nor for a caller who has gone."""

import asyncio
import math
from typing import TypeVar

from starlette.types import Receive

from service.errors import ClientGone, DeadlineExceeded, ParameterInvalid
from service.http.timers import CoarseTimers

TIMEOUT_HEADER = "X-Request-Timeout"
PROMPT_SECONDS = 0.05
"""Most answers are there by then: until then nobody watches the caller, which would cost every request."""

Result = TypeVar("Result")


def seconds_allowed(asked: bytes | None, limit: float) -> float:
    """How long this request waits: the service's limit, or less where its header asks for less.

    >>> seconds_allowed(b"0.5", 10.0), seconds_allowed(b"60", 10.0), seconds_allowed(None, 10.0)
    (0.5, 10.0, 10.0)

    Raises:
        ParameterInvalid: the header is no number of seconds above 0.
    """
    if asked is None:
        return limit
    try:
        seconds = float(asked)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise ParameterInvalid(f"{TIMEOUT_HEADER} is {asked[:32].decode('latin-1')!r}; wanted seconds, above 0")
    return min(seconds, limit)


async def wait_for(future: "asyncio.Future[Result]", seconds: float, receive: Receive, timers: CoarseTimers) -> Result:
    """The result of a future that is there in time; else the future fails, for whoever else looks at it too.

    Args:
        future: of an answer.
        seconds: to wait, at most.
        receive: of the request, whose body was read to its end: what comes now is that the caller has gone.
        timers: of the service.

    Raises:
        DeadlineExceeded, ClientGone: it is not waited for any longer.
        Exception: whatever the future failed with.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    watch: asyncio.Task[None] | None = None

    def begin_to_watch() -> None:
        nonlocal watch
        watch = loop.create_task(_watch(future, deadline, seconds, receive))

    timer: object = None
    if seconds < PROMPT_SECONDS:
        begin_to_watch()
    else:
        timer = timers.call_later(PROMPT_SECONDS, begin_to_watch)
    try:
        return await future
    finally:
        timers.cancel(timer)
        if watch is not None:
            watch.cancel()


async def _watch(future: "asyncio.Future[Result]", deadline: float, seconds: float, receive: Receive) -> None:
    error: Exception
    try:
        async with asyncio.timeout_at(deadline):
            if (await receive())["type"] != "http.disconnect":
                # Nothing else comes after a body by the standard: then there is only the deadline to wait for.
                await asyncio.Event().wait()
        error = ClientGone("the caller hung up before the answer was there")
    except TimeoutError:
        error = DeadlineExceeded(f"no answer within {seconds:g} s; try again when there is less to do")
    if not future.done():
        future.set_exception(error)
