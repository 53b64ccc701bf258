"""Natural batching: what queued while the last batch ran is the next batch.

Alone, an image never waits; under load the batches grow by themselves, up to their limit. One thread takes images from
the queue, decodes them and runs the networks. Large images take a way of their own: a pool decodes them and puts them
back as pixels, so that decoding one does not hold up the others; unless there are no others.

Where each network has a core, two such threads take turns: the classifier runs on the next batch while the oracle ends
the last one, else a core would wait for the other at the end of each batch.

Under load two halves of the images take turns: while the networks run on one, the event loop answers the other and
receives what comes next. Only one thread at a time runs Python, and all do but the networks: so answers are handed over
when the next batch is about to run, not while it is decoded; and a batch leaves the event loop something to do.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Lock, Thread

from service.errors import IN_THE_LOG, AnswerInvalid, InferenceFailed, NotReady, Overloaded, ServiceError
from service.inference.answer import Answer
from service.inference.decoding import Decoder, takes_long
from service.inference.pace import Pace
from service.inference.watchdog import Watchdog
from trust.preprocess import Pixels

INFERENCE_THREAD = "inference"
JOIN_SECONDS = 1.0
HALVED_FROM = 32
"""Of this many images in progress, and more, a batch takes half; a smaller half would share too little."""
PROMISING = 0.7
"""Of the time that an image may wait, what those before it may take: who is let in beyond it waits in vain, and keeps
the networks busy for nothing."""

_logger = logging.getLogger("trustserve")


# Compared by identity: a job is a place in the queue.
@dataclass(slots=True, eq=False)
class Job:
    """One image on its way to its answer."""

    request_id: str
    data: bytes
    answer: "asyncio.Future[Answer]"
    """Done before it is answered: whoever waited has gone, and nothing more is to be done for it."""
    seconds: float = math.inf
    """How long it may wait."""
    pixels: Pixels | None = None


Settled = tuple[Job, Answer | ServiceError]


class Batcher:
    """Collects images from concurrent tasks and gives each its own answer.

    Args:
        run: pixels -> as many answers in their order, and request ids; called in a thread of its own. What it gets as
            well it calls as soon as the next batch may begin, if that is before it has the answers.
        probe: runs the networks on an image that they answer if they can answer any; called after a failure.
        decoder: from bytes to pixels.
        pool: threads that decode large images.
        watchdog: is told when a batch begins and ends, and of failures.
        max_batch: most images in one batch.
        batches: that may be under way at once, 1 or 2.
        wait_seconds: how long the first image of a batch that is not full waits for company.
    """

    def __init__(
        self,
        run: Callable[[Sequence[str], list[Pixels], Callable[[], None]], Sequence[Answer]],
        probe: Callable[[], None],
        decoder: Decoder,
        pool: Executor,
        watchdog: Watchdog,
        max_batch: int,
        batches: int = 1,
        wait_seconds: float = 0.0,
    ) -> None:
        self._run, self._probe = run, probe
        self._decoder, self._pool, self._watchdog = decoder, pool, watchdog
        self._max_batch, self._wait_seconds = max_batch, wait_seconds
        self._pace = Pace()
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._jobs: set[Job] = set()
        self._closing = False
        self._done: list[Settled] = []
        self._turn = Lock()
        self._ending = Lock()
        self._ended = 0.0
        self._loop = asyncio.get_running_loop()
        # Not joined at exit: a batch that hangs must not keep the process.
        self._threads = [Thread(target=self._work, name=INFERENCE_THREAD, daemon=True) for _ in range(batches)]
        for thread in self._threads:
            thread.start()

    def submit(self, job: Job) -> "asyncio.Future[Answer]":
        """Queues an image, on the event loop; gives back the future of its answer.

        The future may fail with ImageUnreadable, ImageHasTooManyPixels, AnswerInvalid, InferenceFailed, NotReady.

        Raises:
            NotReady: the batcher is closed, or the networks are in trouble.
            Overloaded: its answer would come too late.
        """
        if self._closing:
            raise NotReady("the service is stopping; try again shortly")
        if (trouble := self._watchdog.trouble()) is not None:
            raise NotReady(trouble)
        if (wait := self._pace.seconds_for(len(self._jobs))) > PROMISING * job.seconds:
            raise Overloaded(f"images for {wait:.1f} s are waiting, longer than this one may; try again shortly")
        self._jobs.add(job)
        job.answer.add_done_callback(lambda _: self._jobs.discard(job))
        if takes_long(job.data, alone=len(self._jobs) == 1):
            self._pool.submit(self._decode_apart, job)
        else:
            self._queue.put(job)
        return job.answer

    def fail_all(self, reason: str) -> None:
        """Fails every image that waits or runs, on the event loop: they would wait in vain."""
        for job in list(self._jobs):
            _settle([(job, InferenceFailed(reason))])

    async def close(self, grace_seconds: float) -> bool:
        """Takes no more images, answers those that wait, and stops; False where a batch goes on after that time.

        What has no answer by then fails.
        """
        self._closing = True
        if self._jobs:
            await asyncio.wait([job.answer for job in self._jobs], timeout=grace_seconds)
        self.fail_all("the service is stopping; try again shortly")
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            await asyncio.to_thread(thread.join, JOIN_SECONDS)
        return not any(thread.is_alive() for thread in self._threads)

    def _work(self) -> None:
        while True:
            turn = _Turn(self._turn)
            try:
                jobs = self._collect()
                if jobs is None:
                    break
                self._take(jobs, turn)
            finally:
                turn.end()
        self._hand_over()

    def _take(self, jobs: list[Job], turn: "_Turn") -> None:
        began = time.monotonic()
        if not jobs:
            self._try_again()
            return
        ready = self._decoded(jobs)
        self._hand_over()
        if not ready:
            return
        done = self._answered(ready, turn.end)
        with self._ending:
            ended = time.monotonic()
            # Of batches that overlap, each counts from the end of the last.
            self._pace.answered(len(ready), ended - max(began, self._ended))
            self._ended = ended
        if len(self._threads) == 1:
            self._done = done
        else:
            # The other thread may be about to run the next batch for long: it would not hand these over before.
            self._settle(done)

    def _hand_over(self) -> None:
        """Gives the answers of the last batch to those who wait for them."""
        done, self._done = self._done, []
        self._settle(done)

    def _collect(self) -> list[Job] | None:
        """The next batch; empty where, after a failure, it is time to try again; None at the end."""
        try:
            first = self._next(self._watchdog.retry_seconds)
        except Empty:
            return []
        if first is None:
            return None
        jobs = [first]
        most = min(self._max_batch, max(HALVED_FROM, len(self._jobs)) // 2)
        full_at = time.monotonic() + self._wait_seconds
        while len(jobs) < most:
            try:
                job = (
                    self._next(max(0.0, full_at - time.monotonic())) if self._wait_seconds else self._queue.get_nowait()
                )
            except Empty:
                break
            if job is None:
                # For the next time, which is the last one.
                self._queue.put(None)
                break
            jobs.append(job)
        return jobs

    def _next(self, seconds: float | None) -> Job | None:
        """The next of the queue; who has to wait for it hands over first what is done.

        Raises:
            Empty: none came in so many seconds; None is as long as it takes.
        """
        try:
            return self._queue.get_nowait()
        except Empty:
            self._hand_over()
            return self._queue.get(timeout=seconds)

    def _decoded(self, jobs: Iterable[Job]) -> list[Job]:
        """Those that are still waited for and have pixels."""
        ready: list[Job] = []
        failed: list[Settled] = []
        for job in jobs:
            if job.answer.done():
                continue
            if job.pixels is None and (error := self._decode(job, self._decoder.decode_at_once)):
                failed.append((job, error))
            elif job.pixels is None:
                self._pool.submit(self._decode_apart, job)
            else:
                ready.append(job)
        self._settle(failed)
        return ready

    def _decode_apart(self, job: Job) -> None:
        if job.answer.done():
            return
        if error := self._decode(job, self._decoder.decode):
            self._settle([(job, error)])
        else:
            self._queue.put(job)

    def _decode(self, job: Job, decode: Callable[[bytes], Pixels | None]) -> ServiceError | None:
        """Gives a job its pixels, or gives back why it has none; whatever happens, the thread lives on."""
        try:
            job.pixels = decode(job.data)
        except ServiceError as error:
            return error
        except Exception:
            _logger.exception("request %s: decoding failed", job.request_id, extra={"request_id": job.request_id})
            return ServiceError(f"something unexpected happened; {IN_THE_LOG}")
        return None

    def _answered(self, jobs: list[Job], next_may_begin: Callable[[], None]) -> list[Settled]:
        try:
            with self._watchdog.watching():
                pixels = [job.pixels for job in jobs if job.pixels is not None]
                answers = self._run([job.request_id for job in jobs], pixels, next_may_begin)
        except Exception as error:  # noqa: BLE001 - whatever it is, these images have no answer
            return self._answered_alone(jobs, error)
        return [(job, answer if answer.is_finite else _invalid(job)) for job, answer in zip(jobs, answers, strict=True)]

    def _answered_alone(self, jobs: list[Job], error: Exception) -> list[Settled]:
        """One image that the networks fail on must not cost the others of its batch their answers."""
        if len(jobs) > 1:
            return [settled for job in jobs for settled in self._answered_unless_in_trouble(job)]
        (job,) = jobs
        _logger.error(
            "request %s: the networks could not be run on it",
            job.request_id,
            exc_info=error,
            extra={"request_id": job.request_id},
        )
        self._try_again()
        return [(job, InferenceFailed(f"the networks could not be run on this image; {IN_THE_LOG}"))]

    def _answered_unless_in_trouble(self, job: Job) -> list[Settled]:
        if (trouble := self._watchdog.trouble()) is not None:
            # It was not this image: the others of the batch need not fail one by one.
            return [(job, InferenceFailed(trouble))]
        return self._answered([job], lambda: None)

    def _try_again(self) -> None:
        """Finds out whether the networks answer anything at all."""
        try:
            with self._watchdog.watching():
                self._probe()
        except Exception as error:  # noqa: BLE001 - of the networks, whatever it is
            self._watchdog.failed(error)
        else:
            self._watchdog.recovered()

    def _settle(self, settled: list[Settled]) -> None:
        if settled:
            # A loop that is closed has nobody who waits.
            with suppress(RuntimeError):
                # Once a batch: waking the event loop costs a system call.
                self._loop.call_soon_threadsafe(_settle, settled)


class _Turn:
    """Of one batch, from where it is collected until the next one may be.

    Made by who waits for it, ended once, though several times told to.
    """

    def __init__(self, lock: Lock) -> None:
        self._lock: Lock | None = lock
        lock.acquire()

    def end(self) -> None:
        """Lets the next one begin."""
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()


def _settle(settled: Iterable[Settled]) -> None:
    for job, result in settled:
        if job.answer.done():
            continue
        if isinstance(result, ServiceError):
            job.answer.set_exception(result)
        else:
            job.answer.set_result(result)


def _invalid(job: Job) -> AnswerInvalid:
    _logger.error(
        "request %s: the networks give no number for it", job.request_id, extra={"request_id": job.request_id}
    )
    return AnswerInvalid(f"the networks give no number for this image; {IN_THE_LOG}")
