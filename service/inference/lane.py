"""One open bundle at work: its queue and inference thread, its threshold, its monitor."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor

import numpy as np

from service.inference.answer import Answer, answer_batch
from service.inference.batching import Batcher, Job
from service.inference.bundle import Bundle
from service.inference.decoding import Decoder
from service.inference.watchdog import Watchdog
from service.monitor.metrics import Metrics
from service.monitor.opening import Monitor
from service.schemas import ModelName
from service.settings import Settings
from trust.manifest import Threshold
from trust.preprocess import Pixels


class Lane:
    """Answers images with one bundle, from where it is made to `close`; made on the event loop.

    Args:
        bundle: open, and proven to answer as it did where it was exported.
        threshold: in force.
        monitor: of this bundle.
        decoders: threads that decode large images.
        settings, metrics: of the service.
    """

    def __init__(
        self,
        bundle: Bundle,
        threshold: Threshold,
        monitor: Monitor,
        decoders: Executor,
        settings: Settings,
        metrics: Metrics,
    ) -> None:
        self.bundle, self.threshold = bundle, threshold
        self.live = monitor.live
        self.model = ModelName(name=bundle.manifest.name, version=bundle.manifest.version)
        self.model_json = self.model.model_dump()
        self._monitor, self._metrics = monitor, metrics
        self._watchdog = Watchdog(settings.hang_seconds)
        self._batcher = Batcher(
            self._run,
            self._probe,
            Decoder(bundle.manifest.preprocess, settings.max_image_pixels),
            decoders,
            self._watchdog,
            bundle.sessions.largest_batch,
            2 if bundle.sessions.overlaps else 1,
            settings.batch_wait_seconds,
        )
        monitor.background.start()

    @property
    def trouble(self) -> str | None:
        """Why it cannot answer now, if so."""
        return self._watchdog.trouble()

    def submit(self, request_id: str, data: bytes, seconds: float) -> "asyncio.Future[Answer]":
        """Queues one encoded image, which may wait so long; the future is of its answer.

        It may fail with ImageUnreadable, ImageHasTooManyPixels, AnswerInvalid or InferenceFailed.

        Raises:
            NotReady: nothing can be answered now.
            Overloaded: not in that time.
        """
        return self._batcher.submit(Job(request_id, data, asyncio.get_running_loop().create_future(), seconds))

    def check(self) -> None:
        """Fails what waits for a batch that hangs; to be called about once a second, on the event loop."""
        if self._watchdog.hanging():
            self._batcher.fail_all("the batch of this image hangs, or the one before it; try again shortly")

    async def close(self, grace_seconds: float) -> None:
        """Answers what waits, within that time, sums and saves what was monitored, and stops."""
        stopped = await self._batcher.close(grace_seconds)
        await self._monitor.background.close()
        if stopped:
            self.bundle.sessions.close()

    def _run(
        self, request_ids: Sequence[str], images: list[Pixels], next_may_begin: Callable[[], None]
    ) -> Sequence[Answer]:
        self._metrics.batch_size.observe(len(images))
        answers = answer_batch(self.bundle, self.threshold, images, next_may_begin)
        # Before they are sent: no label comes earlier than its answer.
        counted = [row for row in zip(request_ids, answers, images, strict=True) if row[1].is_finite]
        self.live.observe([row[0] for row in counted], [row[1] for row in counted], [row[2] for row in counted])
        return answers

    def _probe(self) -> None:
        channels, height, width = self.bundle.manifest.preprocess.input_size
        self.bundle.sessions.run(np.zeros((1, height, width, channels), np.uint8))
