"""The batcher alone: who gets which result, how large the batches are, who is turned away."""

import asyncio
import threading

import pytest

from service.batching import Batcher
from service.errors import NotReady, Overloaded


class Doubler:
    """run_batch that doubles, keeps the batches it saw, and runs the first only when told to."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go = threading.Event()

    def __call__(self, items: list[int]) -> list[int]:
        self.batches.append(items)
        assert self.go.wait(10)
        if 13 in items:
            raise ValueError("thirteen")
        return [2 * item for item in items]


async def until(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


def run(scenario, **options):
    """Runs a scenario with a started batcher and gives back the batches that were run."""
    doubler = Doubler()

    async def main():
        batcher = Batcher(doubler, **{"max_batch": 4, "max_queue": 100, **options})
        batcher.start()
        try:
            await scenario(batcher, doubler)
        finally:
            doubler.go.set()
            await batcher.close()

    asyncio.run(main())
    return doubler.batches


async def submit_behind_a_running_batch(batcher, doubler, items):
    """Tasks for the items, all queued while a batch with 0 alone runs."""
    tasks = [asyncio.create_task(batcher.submit(0))]
    await until(lambda: doubler.batches)
    tasks += [asyncio.create_task(batcher.submit(item)) for item in items]
    await until(lambda: batcher.waiting == len(items))
    return tasks


def test_what_queued_while_a_batch_ran_is_the_next_batch():
    async def scenario(batcher, doubler):
        tasks = await submit_behind_a_running_batch(batcher, doubler, [1, 2, 3])
        doubler.go.set()
        assert await asyncio.gather(*tasks) == [0, 2, 4, 6]

    assert run(scenario) == [[0], [1, 2, 3]]


def test_no_batch_is_larger_than_allowed():
    async def scenario(batcher, doubler):
        tasks = await submit_behind_a_running_batch(batcher, doubler, range(1, 11))
        doubler.go.set()
        assert await asyncio.gather(*tasks) == [2 * i for i in range(11)]

    assert [len(batch) for batch in run(scenario)] == [1, 4, 4, 2]


def test_full_queue_turns_away_and_serves_again_when_it_has_room():
    async def scenario(batcher, doubler):
        tasks = await submit_behind_a_running_batch(batcher, doubler, [1, 2])
        with pytest.raises(Overloaded, match="2 images are waiting, limit is 2"):
            await batcher.submit(3)
        doubler.go.set()
        await asyncio.gather(*tasks)
        assert await batcher.submit(4) == 8

    run(scenario, max_queue=2)


def test_cancelled_item_takes_no_place_and_leaves_the_others_alone():
    async def scenario(batcher, doubler):
        tasks = await submit_behind_a_running_batch(batcher, doubler, [1, 2, 3])
        tasks[2].cancel()
        tasks[0].cancel()  # this one is in the batch that runs
        doubler.go.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in results] == [asyncio.CancelledError, int, asyncio.CancelledError, int]
        assert (results[1], results[3]) == (2, 6)

    assert run(scenario) == [[0], [1, 3]]


def test_failed_batch_fails_its_own_items_only():
    async def scenario(batcher, doubler):
        tasks = await submit_behind_a_running_batch(batcher, doubler, [13, 2])
        doubler.go.set()
        first, *failed = await asyncio.gather(*tasks, return_exceptions=True)
        assert first == 0
        assert [str(error) for error in failed] == ["thirteen", "thirteen"]
        assert await batcher.submit(5) == 10

    run(scenario)


def test_results_that_do_not_match_the_items_are_an_error_not_a_hang():
    async def main():
        batcher = Batcher(lambda items: items[1:], max_batch=4, max_queue=4)
        batcher.start()
        with pytest.raises(ValueError, match="shorter"):
            await batcher.submit(1)
        await batcher.close()

    asyncio.run(main())


def test_batch_waits_for_company_when_told_to():
    async def scenario(batcher, doubler):
        doubler.go.set()
        first = asyncio.create_task(batcher.submit(1))
        await asyncio.sleep(0.01)
        # The batch is full with the fourth, long before the ten seconds are over.
        results = await asyncio.gather(first, *(batcher.submit(item) for item in (2, 3, 4)))
        assert results == [2, 4, 6, 8]

    assert run(scenario, wait_seconds=10.0) == [[1, 2, 3, 4]]


def test_batch_that_stays_alone_runs_after_its_wait():
    async def scenario(batcher, doubler):
        doubler.go.set()
        assert await batcher.submit(1) == 2

    assert run(scenario, wait_seconds=0.01) == [[1]]


def test_closing_lets_the_running_batch_end_and_turns_the_others_away():
    async def scenario(batcher, doubler):
        running, waiting = await submit_behind_a_running_batch(batcher, doubler, [1])
        closing = asyncio.create_task(batcher.close())
        await asyncio.sleep(0)
        doubler.go.set()
        await closing
        assert await running == 0
        with pytest.raises(NotReady):
            await waiting
        with pytest.raises(NotReady):
            await batcher.submit(2)

    assert run(scenario) == [[0]]
