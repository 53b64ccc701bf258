"""The batcher alone: who gets which answer, how large the batches are, what a failure costs and whom."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from service.errors import AnswerInvalid, ImageUnreadable, InferenceFailed, NotReady, Overloaded
from service.inference.answer import Answer
from service.inference.batching import INFERENCE_THREAD, Batcher, Job
from service.inference.decoding import Decoder
from service.inference.watchdog import Watchdog
from tests.tiny import png
from trust.preprocess import Preprocess

SPEC = Preprocess(input_size=(1, 4, 4), mean=(0.0,), std=(1.0,), interpolation="nearest")


class Networks:
    """Trusts an image by its grey value in per cent, keeps the batches it saw, and runs the first when told to."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go = threading.Event()
        self.broken = False

    def __call__(self, _, images, _next_may_begin):
        greys = [int(image.mean()) for image in images]
        self.batches.append(greys)
        assert self.go.wait(10)
        if self.broken or 13 in greys:
            raise ValueError("thirteen")
        return [answer(np.nan if grey == 99 else grey / 100) for grey in greys]

    def probe(self) -> None:
        if self.broken:
            raise RuntimeError("device lost\nand more lines of it")


def answer(trust: float) -> Answer:
    return Answer(0, 0.9, trust, 0.5, trust >= 0.5, np.zeros(1, np.float32), None, np.zeros(1, np.float32))


def image(grey: int, size: int = 4) -> bytes:
    return png(np.full((size, size), grey, np.uint8))


async def until(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


def run(scenario, watchdog=None, decoder=None, **options):
    """Runs a scenario with a batcher of its own and gives back the batches that were run."""
    networks = Networks()

    async def main():
        with ThreadPoolExecutor(1) as pool:
            options.setdefault("max_batch", 4)
            parts = decoder or Decoder(SPEC, max_pixels=10**6), pool, watchdog or Watchdog(60)
            batcher = Batcher(networks, networks.probe, *parts, **options)
            try:
                await scenario(batcher, networks)
            finally:
                networks.go.set()
                await batcher.close(10)

    asyncio.run(main())
    return networks.batches


def submit(batcher, data: bytes, seconds=60.0):
    return batcher.submit(Job("id", data, asyncio.get_running_loop().create_future(), seconds))


async def submit_behind_a_running_batch(batcher, networks, greys):
    """Futures for images of these greys, all queued while a batch with a black one alone runs."""
    futures = [submit(batcher, image(0))]
    await until(lambda: networks.batches)
    return futures + [submit(batcher, image(grey)) for grey in greys]


def test_what_queued_while_a_batch_ran_is_the_next_batch():
    async def scenario(batcher, networks):
        futures = await submit_behind_a_running_batch(batcher, networks, [10, 20, 30])
        networks.go.set()
        assert [each.trust for each in await asyncio.gather(*futures)] == [0, 0.1, 0.2, 0.3]

    assert run(scenario) == [[0], [10, 20, 30]]


def test_no_batch_is_larger_than_allowed():
    async def scenario(batcher, networks):
        futures = await submit_behind_a_running_batch(batcher, networks, range(1, 11))
        networks.go.set()
        assert [each.trust for each in await asyncio.gather(*futures)] == [grey / 100 for grey in range(11)]

    assert [len(batch) for batch in run(scenario)] == [1, 4, 4, 2]


@pytest.mark.parametrize(
    ("behind", "batches"),
    # With the black one that runs already there are 64, of which a half is 32; and 20, fewer than are halved.
    [(63, [1, 32, 31]), (19, [1, 16, 3])],
)
def test_batch_leaves_half_of_many_images_for_the_next(behind, batches):
    async def scenario(batcher, networks):
        futures = await submit_behind_a_running_batch(batcher, networks, range(20, 20 + behind))
        networks.go.set()
        await asyncio.gather(*futures)

    assert [len(batch) for batch in run(scenario, max_batch=50)] == batches


class Turnstile:
    """In place of an event: lets one batch through for each time it was told to, and at the end all."""

    def __init__(self) -> None:
        self._let = threading.Semaphore(0)

    def wait(self, seconds: float) -> bool:
        return self._let.acquire(timeout=seconds)

    def set(self, batches: int = 1000) -> None:
        self._let.release(batches)


@pytest.mark.parametrize(
    ("greys", "wait_seconds"), [([10], 0.0), ([10, 20], 60.0)], ids=["others run", "others are waited for"]
)
def test_answers_are_not_kept_until_others_are_there(greys, wait_seconds):
    async def scenario(batcher, networks):
        networks.go = Turnstile()
        first = [submit(batcher, image(grey)) for grey in greys]
        await until(lambda: networks.batches == [greys])
        # Of the next batch, which runs for long, or lacks an image.
        submit(batcher, image(30))
        networks.go.set(1)
        async with asyncio.timeout(5):
            await asyncio.gather(*first)

    run(scenario, max_batch=2, wait_seconds=wait_seconds)


class TwoNetworks:
    """The oracle ends a batch no earlier than the next one was classified; of the last there is no next one.

    Remembers whether it ever had to classify two batches at once.
    """

    def __init__(self, last: int) -> None:
        self._classified = [threading.Event() for _ in range(last + 2)]
        self._classified[last + 1].set()
        self._classifying = threading.Lock()
        self.collided = False

    def __call__(self, _, images, next_may_begin):
        number = int(images[0].mean())
        self.collided |= self._classifying.locked()
        with self._classifying:
            time.sleep(0.01)
        self._classified[number].set()
        next_may_begin()
        assert self._classified[number + 1].wait(10)
        return [answer(image.mean() / 100) for image in images]

    def probe(self) -> None: ...


def test_next_batch_begins_while_the_oracle_ends_the_last_one():
    async def main():
        networks = TwoNetworks(last=5)
        with ThreadPoolExecutor(1) as pool:
            decoder = Decoder(SPEC, max_pixels=10**6)
            batcher = Batcher(networks, networks.probe, decoder, pool, Watchdog(60), max_batch=1, batches=2)
            answers = await asyncio.gather(*(submit(batcher, image(grey)) for grey in range(6)))
            assert await batcher.close(10)
        assert [each.trust for each in answers] == [0, 0.01, 0.02, 0.03, 0.04, 0.05]
        assert not networks.collided

    asyncio.run(main())


def test_failed_batch_lets_the_next_one_begin():
    async def scenario(batcher, networks):
        futures = await submit_behind_a_running_batch(batcher, networks, [13, 10, 13, 20])
        networks.go.set()
        results = await asyncio.gather(*futures, return_exceptions=True)
        assert [getattr(result, "trust", None) for result in results] == [0, None, 0.1, None, 0.2]

    run(scenario, max_batch=1, batches=2)


def test_image_that_nobody_waits_for_is_not_run():
    async def scenario(batcher, networks):
        first, gone, stays = await submit_behind_a_running_batch(batcher, networks, [10, 20])
        gone.cancel()
        networks.go.set()
        assert [each.trust for each in await asyncio.gather(first, stays)] == [0, 0.2]

    assert run(scenario) == [[0], [20]]


def test_image_that_the_networks_fail_on_costs_the_others_of_its_batch_nothing():
    async def scenario(batcher, networks):
        futures = await submit_behind_a_running_batch(batcher, networks, [10, 13, 20])
        networks.go.set()
        first, ten, thirteen, twenty = await asyncio.gather(*futures, return_exceptions=True)
        assert [first.trust, ten.trust, twenty.trust] == [0, 0.1, 0.2]
        assert isinstance(thirteen, InferenceFailed)

    assert run(scenario) == [[0], [10, 13, 20], [10], [13], [20]]


def test_answer_that_is_no_number_is_none():
    async def scenario(batcher, networks):
        networks.go.set()
        with pytest.raises(AnswerInvalid):
            await submit(batcher, image(99))
        assert (await submit(batcher, image(98))).trust == 0.98

    run(scenario)


def test_what_is_no_image_costs_the_others_nothing():
    async def scenario(batcher, networks):
        futures = await submit_behind_a_running_batch(batcher, networks, [10])
        broken = submit(batcher, b"no image")
        networks.go.set()
        assert [each.trust for each in await asyncio.gather(*futures)] == [0, 0.1]
        with pytest.raises(ImageUnreadable):
            await broken

    assert run(scenario) == [[0], [10]]


class ByThread(Decoder):
    """Keeps which of the threads, the pool's or the other, gave an image its pixels."""

    def __init__(self) -> None:
        super().__init__(SPEC, max_pixels=2**21)
        self.threads: list[str] = []

    def _decode(self, data, most):
        pixels = super()._decode(data, most)
        if pixels is not None:
            self.threads.append("inference" if threading.current_thread().name == INFERENCE_THREAD else "pool")
        return pixels


SMALL, FEW_BYTES, MODERATE = image(40), image(40, size=300), image(40, size=572) + bytes(120_000)
LARGE = {"bytes": image(40) + bytes(140_000), "pixels": image(40, size=573) + bytes(20_000)}


@pytest.mark.parametrize(
    ("data", "thread"),
    [
        pytest.param(SMALL, "inference", id="small"),
        pytest.param(FEW_BYTES, "pool", id="more pixels than its bytes say"),
        pytest.param(MODERATE, "inference", id="moderate"),
        *[pytest.param(data, "pool", id=f"large by its {what}") for what, data in LARGE.items()],
    ],
)
def test_image_by_itself_is_decoded_apart_only_where_it_would_hold_up_others_for_long(data, thread):
    async def scenario(batcher, networks):
        networks.go.set()
        assert (await submit(batcher, data)).trust == 0.4

    decoder = ByThread()
    assert run(scenario, decoder=decoder) == [[40]]
    assert decoder.threads == [thread]


@pytest.mark.parametrize(("data", "thread"), [(SMALL, "inference"), (MODERATE, "pool")], ids=["small", "moderate"])
def test_image_that_is_not_alone_is_decoded_apart_unless_it_is_small(data, thread):
    async def scenario(batcher, networks):
        futures = await submit_behind_a_running_batch(batcher, networks, [])
        futures.append(submit(batcher, data))
        networks.go.set()
        assert [each.trust for each in await asyncio.gather(*futures)] == [0, 0.4]

    decoder = ByThread()
    assert run(scenario, decoder=decoder) == [[0], [40]]
    assert decoder.threads == ["inference", thread]


@pytest.mark.parametrize("length", [20_000, 300_000])
def test_large_file_that_is_no_image(length):
    async def scenario(batcher, _):
        with pytest.raises(ImageUnreadable):
            await submit(batcher, bytes(length))

    assert run(scenario) == []


def test_batch_waits_for_company_when_told_to():
    async def scenario(batcher, networks):
        networks.go.set()
        futures = []
        for grey in range(4):
            futures.append(submit(batcher, image(grey)))
            await asyncio.sleep(0.01)
        await asyncio.gather(*futures)

    assert run(scenario, wait_seconds=5.0) == [[0, 1, 2, 3]]


def test_networks_that_fail_on_any_image_are_not_asked_until_they_answer_again():
    watchdog = Watchdog(60)

    async def scenario(batcher, networks):
        networks.broken = True
        networks.go.set()
        with pytest.raises(InferenceFailed):
            await submit(batcher, image(10))
        with pytest.raises(NotReady, match="device lost; they are tried again every"):
            submit(batcher, image(10))
        networks.broken = False
        await until(lambda: watchdog.trouble() is None)
        assert (await submit(batcher, image(10))).trust == 0.1

    assert run(scenario, watchdog) == [[10], [10]]


def test_networks_that_fail_on_any_image_fail_a_batch_once():
    watchdog = Watchdog(60)

    async def scenario(batcher, networks):
        futures = await submit_behind_a_running_batch(batcher, networks, [10, 20, 30])
        networks.broken = True
        networks.go.set()
        results = await asyncio.gather(*futures, return_exceptions=True)
        assert [type(result) for result in results] == [InferenceFailed] * 4

    # The probe after the first failed too: the second batch is not taken apart.
    assert run(scenario, watchdog) == [[0], [10, 20, 30]]


def test_batch_that_hangs_turns_away_and_what_waits_for_it_can_be_failed():
    seconds = [0.0]
    watchdog = Watchdog(30, clock=lambda: seconds[0])

    async def scenario(batcher, networks):
        first, second = await submit_behind_a_running_batch(batcher, networks, [10])
        assert watchdog.trouble() is None
        seconds[0] = 31
        with pytest.raises(NotReady, match="more than 30 s"):
            submit(batcher, image(20))
        batcher.fail_all("it hangs")
        for future in (first, second):
            with pytest.raises(InferenceFailed, match="it hangs"):
                await future
        networks.go.set()
        await until(lambda: watchdog.trouble() is None)
        assert (await submit(batcher, image(30))).trust == 0.3

    assert run(scenario, watchdog) == [[0], [30]]


def test_image_whose_answer_would_come_too_late_is_turned_away_at_once():
    async def scenario(batcher, networks):
        first = submit(batcher, image(0))
        await until(lambda: networks.batches)
        await asyncio.sleep(0.2)
        networks.go.set()
        await first
        networks.go.clear()
        # From here on an image is taken to need 0.2 s, and one waits.
        waiting = submit(batcher, image(10))
        with pytest.raises(Overloaded, match="longer than this one may"):
            submit(batcher, image(20), seconds=0.2)
        patient = submit(batcher, image(30), seconds=60)
        networks.go.set()
        assert [each.trust for each in await asyncio.gather(waiting, patient)] == [0.1, 0.3]

    run(scenario)


def test_closing_does_not_wait_for_a_batch_without_end():
    async def scenario(batcher, networks):
        futures = await submit_behind_a_running_batch(batcher, networks, [10])
        assert await batcher.close(0.05) is False
        for future in futures:
            with pytest.raises(InferenceFailed, match="stopping"):
                await future

    run(scenario)


def test_closing_answers_what_waits_and_takes_no_more():
    async def scenario(batcher, networks):
        futures = await submit_behind_a_running_batch(batcher, networks, [10, 20])
        closing = asyncio.create_task(batcher.close(10))
        await asyncio.sleep(0)
        with pytest.raises(NotReady, match="stopping"):
            submit(batcher, image(30))
        networks.go.set()
        await closing
        assert [future.result().trust for future in futures] == [0, 0.1, 0.2]

    assert run(scenario) == [[0], [10, 20]]
