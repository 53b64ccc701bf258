"""The engine: opens the bundle while the service already listens, then turns image bytes into answers."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from service.answer import Answer, answer_batch, threshold_in_force
from service.batching import Batcher
from service.bundle import Bundle, open_bundle
from service.errors import ImageHasTooManyPixels, ImageUnreadable, NotReady, Overloaded
from service.journal.journal import Journal
from service.monitor.live import Live
from service.monitor.metrics import Metrics
from service.monitor.opening import Monitor, open_journal_of, open_monitor
from service.sessions import available_cores
from service.settings import Settings, SettingsError
from trust.manifest import BundleError, Threshold
from trust.preprocess import ImageError, Pixels, TooManyPixels, preprocess

OnReady = Callable[[Bundle], None]
OnFailure = Callable[[Exception], None]

_logger = logging.getLogger("trustserve")


class Engine:
    """One bundle, the threads that decode for it and the batches that run through it."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._status = f"opening the bundle {settings.model}; try again shortly"
        self._bundle: Bundle | None = None
        self._journal: Journal | None = None
        self._monitor: Monitor | None = None
        self._batcher: Batcher[Pixels, Answer] | None = None
        self._decoding = 0
        self._decoders = ThreadPoolExecutor(
            settings.decode_threads or min(4, available_cores()), thread_name_prefix="decode"
        )

    @property
    def bundle(self) -> Bundle:
        """The open bundle.

        Raises:
            NotReady: it is not open; the message says why.
        """
        if self._bundle is None:
            raise NotReady(self._status)
        return self._bundle

    @property
    def live(self) -> Live:
        """The monitor of the open bundle.

        Raises:
            NotReady: it is not open; the message says why.
        """
        if self._monitor is None:
            raise NotReady(self._status)
        return self._monitor.live

    @property
    def threshold(self) -> Threshold:
        """From which trust on an answer is trusted: the operator's, else the bundle's."""
        return threshold_in_force(self._settings.threshold, self.bundle)

    @asynccontextmanager
    async def running(self, on_ready: OnReady | None, on_failure: OnFailure | None) -> AsyncIterator[None]:
        """Opens the bundle in the background, then calls one of the two; closes everything at the end."""
        opening = asyncio.create_task(self._open(on_ready, on_failure))
        try:
            yield
        finally:
            await opening
            if self._batcher is not None:
                await self._batcher.close()
            if self._bundle is not None:
                self._bundle.sessions.close()
            if self._monitor is not None:
                await self._monitor.background.close()
            if self._journal is not None:
                await asyncio.to_thread(self._journal.close)
                self._metrics.journal(self._journal.counts)
            self._decoders.shutdown(cancel_futures=True)

    def fold(self) -> None:
        """Brings the figures up to this moment; blocks."""
        if self._monitor is not None:
            self._monitor.live.fold()

    async def answer(self, data: bytes) -> Answer:
        """The answer to one encoded image.

        Raises:
            NotReady, Overloaded: nothing can be answered now.
            ImageUnreadable, ImageHasTooManyPixels: this image cannot be answered.
        """
        bundle, batcher = self.bundle, self._batcher
        assert batcher is not None, "the batcher starts before the bundle is shown"
        return await batcher.submit(await self._decode(data, bundle))

    async def _decode(self, data: bytes, bundle: Bundle) -> Pixels:
        limit = self._settings.max_queue
        if self._decoding >= limit:
            raise Overloaded(f"{self._decoding} images wait to be decoded, limit is {limit}; try again shortly")
        self._decoding += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._decoders, preprocess, data, bundle.manifest.preprocess, self._settings.max_image_pixels
            )
        except TooManyPixels as error:
            raise ImageHasTooManyPixels(f"{error}; resize it or raise TRUSTSERVE_MAX_IMAGE_PIXELS") from error
        except ImageError as error:
            raise ImageUnreadable(str(error)) from error
        finally:
            self._decoding -= 1

    async def _open(self, on_ready: OnReady | None, on_failure: OnFailure | None) -> None:
        settings = self._settings
        try:
            bundle = await asyncio.to_thread(open_bundle, settings.model, settings.device, settings.session_threads)
            threshold = threshold_in_force(settings.threshold, bundle)
            self._journal = await asyncio.to_thread(open_journal_of, settings)
            monitor = await asyncio.to_thread(open_monitor, bundle, threshold, settings, self._metrics, self._journal)
            self._serve(bundle, monitor)
        except BundleError as error:
            self._fail(f"the bundle could not be opened: {error}", error, on_failure)
        except SettingsError as error:
            self._fail(str(error), error, on_failure)
        except Exception as error:
            _logger.exception("opening the bundle %s failed", settings.model)
            self._fail("the bundle could not be opened; the log has the reason", error, on_failure)
        else:
            if on_ready is not None:
                on_ready(bundle)

    def _fail(self, status: str, error: Exception, on_failure: OnFailure | None) -> None:
        self._status = status
        if on_failure is not None:
            on_failure(error)

    def _serve(self, bundle: Bundle, monitor: Monitor) -> None:
        settings, metrics = self._settings, self._metrics

        def run_batch(images: list[Pixels]) -> list[Answer]:
            metrics.batch_size.observe(len(images))
            return answer_batch(bundle, self.threshold, images)

        batcher = Batcher(
            run_batch, settings.max_batch, settings.max_queue, settings.batch_wait_seconds, metrics.queue_length.set
        )
        batcher.start()
        monitor.background.start()
        self._batcher, self._monitor, self._bundle = batcher, monitor, bundle
