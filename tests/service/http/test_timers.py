"""Timers that share one of the loop's."""

import asyncio

from service.http.timers import TICK_SECONDS, CoarseTimers


def calls(*seconds: float, cancelled: tuple[int, ...] = (), wait: float = 0.25) -> list[tuple[int, float]]:
    """Number of each timer that called back in time, and after how many seconds."""

    async def main() -> list[tuple[int, float]]:
        loop, timers = asyncio.get_running_loop(), CoarseTimers()
        began, came = loop.time(), []
        set_ = [
            timers.call_later(delay, lambda number=number: came.append((number, loop.time() - began)))
            for number, delay in enumerate(seconds)
        ]
        for number in cancelled:
            timers.cancel(set_[number])
        await asyncio.sleep(wait)
        return came

    return asyncio.run(main())


def test_each_comes_once_and_not_too_early():
    came = calls(0.0, 0.1, 10.0)
    assert [number for number, _ in came] == [0, 1]
    assert came[1][1] >= 0.1


def test_cancelled_one_does_not_come():
    assert [number for number, _ in calls(0.0, 0.0, 0.0, cancelled=(1,))] == [0, 2]


def test_one_may_cancel_another_that_is_due_as_well():
    async def main() -> list[str]:
        timers, came = CoarseTimers(), []
        second = None

        def first() -> None:
            came.append("first")
            timers.cancel(second)

        timers.call_later(0.0, first)
        second = timers.call_later(0.0, lambda: came.append("second"))
        await asyncio.sleep(3 * TICK_SECONDS)
        return came

    assert asyncio.run(main()) == ["first"]


def test_one_that_fails_does_not_stop_the_others():
    async def main() -> list[str]:
        timers, came = CoarseTimers(), []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: came.append("handled"))
        timers.call_later(0.0, lambda: 1 / 0)
        timers.call_later(0.0, lambda: came.append("second"))
        await asyncio.sleep(3 * TICK_SECONDS)
        return came

    assert asyncio.run(main()) == ["handled", "second"]


def test_nothing_ticks_where_nothing_waits():
    async def main() -> bool:
        timers = CoarseTimers()
        timers.cancel(timers.call_later(10.0, int))
        await asyncio.sleep(3 * TICK_SECONDS)
        return timers._ticking

    assert asyncio.run(main()) is False
