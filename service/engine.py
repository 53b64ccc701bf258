"""The engine: opens the bundle while the service already listens, and holds the lane that answers with it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress

from service.admission import Admission
from service.answer import threshold_in_force
from service.bundle import Bundle, open_bundle
from service.errors import NotReady
from service.journal.journal import Journal
from service.lane import Lane
from service.monitor.metrics import Metrics
from service.monitor.opening import open_journal_of, open_monitor
from service.sessions import available_cores
from service.settings import Settings, SettingsError
from trust.manifest import BundleError

OnReady = Callable[[Bundle], None]
OnFailure = Callable[[Exception], None]

CHECK_SECONDS = 1.0

_logger = logging.getLogger("trustserve")


class Engine:
    """What answers, and how much of it may be asked at once."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._status = f"opening the bundle {settings.model}; try again shortly"
        self._stopping = False
        self._journal: Journal | None = None
        self._lane: Lane | None = None
        self._decoders = ThreadPoolExecutor(
            settings.decode_threads or min(4, available_cores()), thread_name_prefix="decode"
        )
        self.admission = Admission(settings.max_queue, settings.max_queue_bytes)

    @property
    def lane(self) -> Lane:
        """What answers now.

        Raises:
            NotReady: nothing does; the message says why.
        """
        if self._lane is None:
            raise NotReady(self._status)
        return self._lane

    def ready(self) -> Lane:
        """What answers, if requests should be sent here.

        Raises:
            NotReady: they should not; the message says why.
        """
        lane = self.lane
        if self._stopping:
            raise NotReady("the service is stopping; try again shortly")
        if lane.trouble is not None:
            raise NotReady(lane.trouble)
        return lane

    def stop_soon(self) -> None:
        """No longer ready from now on, but still answering."""
        self._stopping = True

    def refresh(self) -> None:
        """Brings all figures up to this moment; blocks."""
        self._show_queue()
        if self._lane is not None:
            self._lane.live.fold()

    @asynccontextmanager
    async def running(self, on_ready: OnReady | None, on_failure: OnFailure | None) -> AsyncIterator[None]:
        """Opens the bundle in the background, then calls one of the two; closes everything at the end."""
        opening = asyncio.create_task(self._open(on_ready, on_failure))
        checking = asyncio.create_task(self._check_forever())
        try:
            yield
        finally:
            await opening
            if self._lane is not None:
                await self._lane.close()
            if self._journal is not None:
                await asyncio.to_thread(self._journal.close)
                self._metrics.journal(self._journal.counts)
            checking.cancel()
            with suppress(asyncio.CancelledError):
                await checking
            self._decoders.shutdown(cancel_futures=True)

    async def _open(self, on_ready: OnReady | None, on_failure: OnFailure | None) -> None:
        try:
            self._journal = await asyncio.to_thread(open_journal_of, self._settings)
            self._lane = await self._open_lane()
        except BundleError as error:
            self._fail(f"the bundle could not be opened: {error}", error, on_failure)
        except SettingsError as error:
            self._fail(str(error), error, on_failure)
        except Exception as error:
            _logger.exception("opening the bundle %s failed", self._settings.model)
            self._fail("the bundle could not be opened; the log has the reason", error, on_failure)
        else:
            if on_ready is not None:
                on_ready(self._lane.bundle)

    async def _open_lane(self) -> Lane:
        settings, metrics = self._settings, self._metrics
        bundle = await asyncio.to_thread(open_bundle, settings.model, settings.device, settings.session_threads)
        threshold = threshold_in_force(settings.threshold, bundle)
        monitor = await asyncio.to_thread(open_monitor, bundle, threshold, settings, metrics, self._journal)
        return Lane(bundle, threshold, monitor, self._decoders, settings, metrics)

    def _fail(self, status: str, error: Exception, on_failure: OnFailure | None) -> None:
        self._status = status
        if on_failure is not None:
            on_failure(error)

    async def _check_forever(self) -> None:
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            self._show_queue()
            if self._lane is not None:
                self._lane.check()

    def _show_queue(self) -> None:
        self._metrics.queue_length.set(self.admission.waiting)
