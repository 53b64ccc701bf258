"""Natural batching: what queued while the last batch ran is the next batch.

Alone, an image never waits; under load the batches grow by themselves, up to their limit.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from service.errors import NotReady, Overloaded

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    """Collects items from concurrent tasks and gives each its own result.

    Args:
        run_batch: a list of items -> as many results in their order; called in a thread of its own, one batch
            at a time.
        max_batch: most items in one batch.
        max_queue: most items that wait for a batch.
        wait_seconds: how long the first item of a batch that is not full waits for company.
        show_waiting: called with the number of items that wait, whenever it changes.
    """

    def __init__(
        self,
        run_batch: Callable[[list[Item]], Sequence[Result]],
        max_batch: int,
        max_queue: int,
        wait_seconds: float = 0.0,
        show_waiting: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._run_batch = run_batch
        self._max_batch = max_batch
        self._max_queue = max_queue
        self._wait_seconds = wait_seconds
        self._show_waiting = show_waiting
        self._queue: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._arrived = asyncio.Event()
        self._full = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batch")
        self._worker: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Items in no batch yet."""
        return len(self._queue)

    def start(self) -> None:
        """Begins to run batches, on the running event loop."""
        self._worker = asyncio.create_task(self._run_forever())

    async def submit(self, item: Item) -> Result:
        """The result of one item.

        Raises:
            Overloaded: the queue is full.
            NotReady: the batcher is not started, or closed.
            Exception: whatever `run_batch` raised on the batch of this item.
        """
        if self._worker is None:
            raise NotReady("the service is stopping; try again shortly")
        if len(self._queue) >= self._max_queue:
            raise Overloaded(f"{len(self._queue)} images are waiting, limit is {self._max_queue}; try again shortly")
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._queue.append((item, future))
        self._show_waiting(self.waiting)
        self._arrived.set()
        if len(self._queue) >= self._max_batch:
            self._full.set()
        return await future

    async def close(self) -> None:
        """Turns away what waits, lets the running batch end, and stops."""
        worker, self._worker = self._worker, None
        while self._queue:
            _fail(self._queue.popleft()[1], NotReady("the service is stopping; try again shortly"))
        self._show_waiting(self.waiting)
        if worker is not None:
            # Wakes the worker, which finds that it is no longer wanted.
            self._arrived.set()
            self._full.set()
            await worker
        self._thread.shutdown()

    async def _run_forever(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._arrived.wait()
            await self._wait_for_company()
            if self._worker is None:
                return
            batch = self._take_batch()
            if not batch:
                continue
            try:
                results = await loop.run_in_executor(self._thread, self._run_batch, [item for item, _ in batch])
                for (_, future), result in zip(batch, results, strict=True):
                    if not future.done():
                        future.set_result(result)
            except Exception as error:  # noqa: BLE001 - each task of the batch raises it
                for _, future in batch:
                    _fail(future, error)

    async def _wait_for_company(self) -> None:
        if self._wait_seconds > 0:
            try:
                await asyncio.wait_for(self._full.wait(), self._wait_seconds)
            except TimeoutError:
                return

    def _take_batch(self) -> list[tuple[Item, "asyncio.Future[Result]"]]:
        """The next items whose callers still wait for them; cancelled ones take no place."""
        batch: list[tuple[Item, asyncio.Future[Result]]] = []
        while self._queue and len(batch) < self._max_batch:
            item, future = self._queue.popleft()
            if not future.done():
                batch.append((item, future))
        self._show_waiting(self.waiting)
        if not self._queue:
            self._arrived.clear()
        if len(self._queue) < self._max_batch:
            self._full.clear()
        return batch


def _fail(future: "asyncio.Future[Result]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
