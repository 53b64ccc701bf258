"""The engine: opens bundles while the service already listens, and holds the lanes that answer with them.

The champion answers. A shadow, where there is one, sees a share of the same images off the answers' path, so that a new
bundle can be judged on live traffic before it answers anybody. Either is replaced while requests come: the new one is
opened, proven and warmed up beside the old one, takes over in one step, and the old one answers what it has.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

from service import garbage
from service.errors import NotReady, Overloaded, ServiceError
from service.http.admission import Admission, Seat
from service.inference.answer import Answer, threshold_in_force
from service.inference.bundle import Bundle, open_bundle
from service.inference.execution import available_cores, execution_of
from service.inference.lane import Lane
from service.inference.serving import Board, Serving
from service.journal.journal import Journal
from service.journal.records import Label, Labelled, Outcome
from service.monitor.metrics import Metrics
from service.monitor.opening import open_journal_of, open_monitor, open_shadow_journal_of
from service.settings import Settings, SettingsError
from trust.manifest import BundleError, read_manifest

OnReady = Callable[[Bundle], None]
OnFailure = Callable[[Exception], None]

CHECK_SECONDS = 1.0
GRACE_SECONDS = 8.0
"""For answering what waits when a lane is closed: less than the process is given to end."""
SHADOW_WAITING, SHADOW_BYTES = 64, 32 * 2**20
"""Most images that wait for the shadow, and their bytes: beyond, it does not see them."""

_logger = logging.getLogger("trustserve")


class Engine:
    """What answers, and how much of it may be asked at once.

    Args:
        settings: of the service.
        metrics: of the service.
        folder: that the workers of the service share, where there are several.
    """

    def __init__(self, settings: Settings, metrics: Metrics, folder: Path | None = None) -> None:
        self._settings = settings
        self._metrics = metrics
        self._status = f"opening the bundle {settings.model}; try again shortly"
        self._stopping = False
        self._board = Board(
            folder, Serving(model=settings.model, shadow=settings.shadow, shadow_share=settings.shadow_share)
        )
        self._serving = self._board.read()
        self._followed: Serving | None = None
        self._changing = asyncio.Lock()
        self._journal: Journal | None = None
        self._shadow_journal: Journal | None = None
        self._lane: Lane | None = None
        self.shadow: Lane | None = None
        self._decoders = ThreadPoolExecutor(
            settings.decode_threads or min(4, available_cores()), thread_name_prefix="decode"
        )
        self.admission = Admission(settings.max_queue, settings.max_queue_bytes)
        self._shadow_admission = Admission(SHADOW_WAITING, SHADOW_BYTES)

    @property
    def lane(self) -> Lane:
        """What answers now: the champion.

        Raises:
            NotReady: nothing does; the message says why.
        """
        self.check_open()
        assert self._lane is not None, "checked just now"
        return self._lane

    @property
    def is_open(self) -> bool:
        """Whether a lane answers."""
        return self._lane is not None

    def check_open(self) -> None:
        """Passes where a lane answers.

        Raises:
            NotReady: none does; the message says why.
        """
        if not self.is_open:
            raise NotReady(self._status)

    @property
    def stopping(self) -> bool:
        """Whether connections should go elsewhere."""
        return self._stopping

    @property
    def serving(self) -> Serving:
        """What is served now."""
        return self._serving

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

    async def serve(self, serving: Serving) -> bool:
        """Serves something else from now on, in all workers; False where that is what is served already.

        Raises:
            BundleError: a bundle cannot be opened; what was served before goes on.
        """
        async with self._changing:
            serving = serving.model_copy(update={"told": self._board.read().told + 1})
            changed = await self._change(serving)
            self._board.write(serving)
            self._followed = serving
            return changed

    async def serve_anew(self) -> None:
        """Looks whether the folders that are served hold something new; what is wrong with it is logged."""
        try:
            changed = await self.serve(self._serving)
        except (BundleError, SettingsError) as error:
            _logger.error("%s; what was served before goes on", error)
        else:
            _logger.warning(
                "%s %s %s",
                self.lane.model.name,
                self.lane.model.version,
                "answers now" if changed else "answers as before: nothing is new",
            )

    def offer_to_shadow(self, request_id: str, data: bytes) -> None:
        """Perhaps lets the shadow answer an image too; never waits and never fails."""
        if self.shadow is None or random.random() >= self._serving.shadow_share:
            return
        seat = Seat(self._shadow_admission)
        try:
            seat.take(len(data))
            seat.wait()
            future = self.shadow.submit(request_id, data, self._settings.deadline_seconds)
        except (NotReady, Overloaded):
            seat.leave()
            self._metrics.shadow_dropped.inc()
        else:
            future.add_done_callback(lambda done: _leave(seat, done))

    def label(self, labels: Sequence[Label]) -> list[Labelled]:
        """What becomes of each label, in their order; blocks. The shadow learns of those that are accepted.

        Raises:
            NotReady, JournalOff, JournalUnavailable: nothing was taken.
        """
        results = self.lane.live.label(labels)
        accepted = [result.label for result in results if result.outcome is Outcome.accepted]
        if self.shadow is not None and accepted:
            try:
                self.shadow.live.label(_translated(accepted, self.lane, self.shadow))
            except ServiceError as error:
                _logger.warning("the shadow does not learn of %d labels: %s", len(accepted), error)
        return results

    def refresh(self) -> None:
        """Brings all figures up to this moment; blocks."""
        self._show_requests()
        for lane in (self._lane, self.shadow):
            if lane is not None:
                lane.live.fold()

    @asynccontextmanager
    async def running(self, on_ready: OnReady | None, on_failure: OnFailure | None) -> AsyncIterator[None]:
        """Opens the bundles in the background, then calls one of the two; closes everything at the end."""
        opening = asyncio.create_task(self._open(on_ready, on_failure))
        checking = asyncio.create_task(self._check_forever())
        try:
            yield
        finally:
            self._stopping = True
            await opening
            await asyncio.gather(*(lane.close(GRACE_SECONDS) for lane in (self._lane, self.shadow) if lane is not None))
            if self._journal is not None:
                await asyncio.to_thread(self._journal.close)
                self._metrics.journal(self._journal.counts)
            if self._shadow_journal is not None:
                await asyncio.to_thread(self._shadow_journal.close)
            checking.cancel()
            with suppress(asyncio.CancelledError):
                await checking
            self._decoders.shutdown(wait=False, cancel_futures=True)

    async def _open(self, on_ready: OnReady | None, on_failure: OnFailure | None) -> None:
        try:
            self._journal = await asyncio.to_thread(open_journal_of, self._settings)
            # First the one that answers: the shadow keeps nobody waiting, and may fail.
            await self._change(self._serving.model_copy(update={"shadow": None}))
        except BundleError as error:
            self._fail(f"the bundle could not be opened: {error}", error, on_failure)
        except SettingsError as error:
            self._fail(str(error), error, on_failure)
        except Exception as error:
            _logger.exception("opening the bundle %s failed", self._settings.model)
            self._fail("the bundle could not be opened; the log has the reason", error, on_failure)
        else:
            if self._stopping:
                return
            if on_ready is not None:
                on_ready(self.lane.bundle)
            await self._follow()

    def _fail(self, status: str, error: Exception, on_failure: OnFailure | None) -> None:
        self._status = status
        if on_failure is not None:
            on_failure(error)

    async def _change(self, serving: Serving) -> bool:
        """Opens what is new, then swaps, then closes what was replaced."""
        champion, shadow = self._lane, self.shadow
        if champion is None or await _differs(champion, serving.model):
            champion = await self._open_lane(serving.model, self._journal)
        try:
            if serving.shadow is None:
                shadow = None
            elif shadow is None or await _differs(shadow, serving.shadow):
                self._shadow_journal = self._shadow_journal or await asyncio.to_thread(
                    open_shadow_journal_of, self._settings
                )
                shadow = await self._open_lane(serving.shadow, self._shadow_journal, shadow=True)
        except BundleError:
            if champion is not self._lane:
                await champion.close(0)
            raise
        replaced = [old for old, new in ((self._lane, champion), (self.shadow, shadow)) if old not in (None, new)]
        changed = (self._lane, self.shadow) != (champion, shadow)
        self._lane, self.shadow, self._serving = champion, shadow, serving
        await asyncio.gather(*(old.close(GRACE_SECONDS) for old in replaced if old is not None))
        if replaced and garbage.is_settled():
            replaced.clear()
            garbage.settle_anew()
        return changed

    async def _open_lane(self, model: Path, journal: Journal | None, shadow: bool = False) -> Lane:
        settings, metrics = self._settings, self._metrics
        bundle = await asyncio.to_thread(open_bundle, model, execution_of(settings))
        threshold = threshold_in_force(settings.threshold, bundle)
        monitor = await asyncio.to_thread(open_monitor, bundle, threshold, settings, metrics, journal, shadow)
        return Lane(bundle, threshold, monitor, self._decoders, settings, metrics)

    async def _follow(self) -> None:
        """Serves what the board says, where it says something that was not tried yet."""
        async with self._changing:
            # Within: who changes what is served writes it there before anybody else looks.
            if (wanted := self._board.read()) == self._followed:
                return
            self._followed = wanted
            try:
                await self._change(wanted)
            except (BundleError, SettingsError) as error:
                _logger.error("%s is not served: %s; what was served before goes on", wanted, error)

    async def _check_forever(self) -> None:
        following: asyncio.Task[None] | None = None
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            self._show_requests()
            for lane in (self._lane, self.shadow):
                if lane is not None:
                    lane.check()
            # Beside: while bundles are opened, lanes are still to be checked.
            if self._lane is not None and (following is None or following.done()):
                following = asyncio.create_task(self._follow())

    def _show_requests(self) -> None:
        self._metrics.queue_length.set(self.admission.waiting)
        self._metrics.fold()


async def _differs(lane: Lane, model: Path) -> bool:
    """Whether a folder holds another bundle than a lane: its manifest has the checksums of all files."""
    return await asyncio.to_thread(read_manifest, model) != lane.bundle.manifest


def _translated(labels: Sequence[Label], champion: Lane, shadow: Lane) -> list[Label]:
    """Labels of one lane's classes as labels of another's, which may have them in another order, or not at all."""
    names = champion.bundle.manifest.classes
    index = {name: number for number, name in enumerate(shadow.bundle.manifest.classes)}
    return [replace(label, class_index=index[name]) for label in labels if (name := names[label.class_index]) in index]


def _leave(seat: Seat, done: "asyncio.Future[Answer]") -> None:
    seat.leave()
    # Nobody else looks at it.
    if not done.cancelled():
        done.exception()
