"""Captures a fair sample of the input images, so many for each class and decision, off the request path.

Each answer draws a random key; its class and decision keep the images with the smallest keys ("bottom-k", Cohen and
Kaplan, "Summarizing data using bottom-k sketches", PODC 2007). So each answer of a cell has the same chance, whatever
its number, and what lies on disk is all the state there is: restarts and several processes sharing the folder change
nothing. Where an image grows too old, its place goes to answers that come afterwards, again by their keys.
"""

import io
import logging
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from queue import Empty, Full, Queue
from threading import Event, Thread

from PIL import Image

from service.captures.folder import Capture, CaptureFolder, Kept, cell_name
from service.inference.answer import Answer
from service.monitor.metrics import Metrics
from trust.manifest import Manifest
from trust.preprocess import decode_image

WAITING = 16
"""Most images that wait to be written; each may have as many bytes as an upload."""
SWEEP_SECONDS = 60.0
POLL_SECONDS = 0.25

_logger = logging.getLogger("trustserve")


@dataclass(frozen=True)
class Limits:
    """What may lie on disk."""

    per_cell: int
    """Images of each class and decision; 0: none is captured."""
    seconds: float
    bytes: int
    pixels: int
    """Largest image that is decoded, as for answering it."""


@dataclass(frozen=True, slots=True)
class _Offer:
    capture: Capture
    data: bytes
    manifest: Manifest


class Captures:
    """Offered every answered image, keeps a few.

    Args:
        folder: where they lie.
        limits: how many, for how long, how many bytes.
        metrics: shows how many there are, counts those that were to be kept and could not.
        clock, draw: seconds since the epoch; a random number in [0, 1).
    """

    def __init__(
        self,
        folder: CaptureFolder,
        limits: Limits,
        metrics: Metrics,
        clock: Callable[[], float] = time.time,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._folder, self._limits = folder, limits
        self._shown, self._dropped = metrics.captures, metrics.captures_dropped
        self._clock, self._draw = clock, draw
        # From which key on an image of a cell need not be written; a cell with places left has no bar.
        self._bars: dict[str, float] = {}
        self._count = self._bytes = 0
        self._failing = False
        self._waiting: Queue[_Offer] = Queue(WAITING)
        self._stopping = Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Writes in a thread of its own until the end; what waits then is still written."""
        if self._limits.per_cell == 0:
            yield
            return
        thread = Thread(target=self._write_forever, name="captures", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            thread.join()

    def offer(self, request_id: str, answer: Answer, manifest: Manifest, data: bytes) -> None:
        """Perhaps keeps the encoded image of an answer; never waits and never fails."""
        if self._limits.per_cell == 0:
            return
        key, cell = self._draw(), cell_name(manifest.name, manifest.version, answer.class_index, answer.trusted)
        if key >= self._bars.get(cell, 1.0):
            return
        capture = Capture.of(request_id, answer, manifest, self._clock(), key)
        try:
            self._waiting.put_nowait(_Offer(capture, data, manifest))
        except Full:
            self._dropped.labels("queue_full").inc()

    def _write_forever(self) -> None:
        next_sweep = 0.0
        while not (self._stopping.is_set() and self._waiting.empty()):
            if time.monotonic() >= next_sweep:
                self._survive(self._sweep)
                next_sweep = time.monotonic() + SWEEP_SECONDS
            with suppress(Empty):
                self._survive(self._take, self._waiting.get(timeout=POLL_SECONDS))
            self._shown.set(self._count)

    def _survive(self, work: Callable[..., None], *arguments: _Offer) -> None:
        """A full disk, or whatever else, costs an image and is counted; the log hears of the first in a row."""
        try:
            work(*arguments)
            self._failing = False
        except Exception as error:
            reason = "disk" if isinstance(error, OSError) else "internal"
            self._dropped.labels(reason).inc()
            if not self._failing:
                _logger.warning("an image could not be captured: %s", error, exc_info=reason == "internal")
            self._failing = True

    def _take(self, offer: _Offer) -> None:
        capture = offer.capture
        self._trim(capture.cell, self._folder.kept(capture.cell))
        # An id that a caller sends twice stands for the first image.
        if capture.key >= self._bars.get(capture.cell, 1.0) or self._folder.find(capture.request_id):
            return
        image = _as_png(offer, self._limits.pixels)
        if len(image) > self._limits.bytes:
            self._dropped.labels("too_large").inc()
            return
        self._folder.save(capture, image)
        self._count, self._bytes = self._count + 1, self._bytes + len(image)
        self._trim(capture.cell, self._folder.kept(capture.cell))
        if self._bytes > self._limits.bytes:
            self._sweep()

    def _trim(self, cell: str, kept: list[Kept]) -> list[Kept]:
        """Leaves a cell its smallest keys; where it is full, the largest of them is its bar."""
        if len(kept) < self._limits.per_cell:
            return kept
        kept = sorted(kept, key=_key)
        for each in kept[self._limits.per_cell :]:
            self._remove(each)
        self._bars[cell] = _key(kept[self._limits.per_cell - 1])
        return kept[: self._limits.per_cell]

    def _sweep(self) -> None:
        """Takes away what is too old and then, of the cells with the most bytes, what is too much."""
        now, kept = self._clock(), self._folder.kept()
        self._count, self._bytes = len(kept), sum(each.bytes for each in kept)
        cells: dict[str, list[Kept]] = defaultdict(list)
        for each in kept:
            # One from far in the future was written before the clock was set back.
            if abs(now - each.captured_at) > self._limits.seconds:
                self._remove(each)
                self._bars.clear()
            else:
                cells[each.cell].append(each)
        for cell in [cell for cell, found in cells.items() if len(found) > self._limits.per_cell]:
            cells[cell] = self._trim(cell, cells[cell])
        while self._bytes > self._limits.bytes:
            cell = max(cells, key=lambda name: sum(each.bytes for each in cells[name]))
            largest = max(cells[cell], key=_key)
            cells[cell].remove(largest)
            self._remove(largest)
            self._bars[cell] = _key(largest)
        self._folder.remove_halves(older_than=now - SWEEP_SECONDS)

    def _remove(self, kept: Kept) -> None:
        kept.remove()
        self._count, self._bytes = self._count - 1, self._bytes - kept.bytes


def _key(kept: Kept) -> float:
    """That of its record; one that cannot be read goes first."""
    capture = kept.read()
    return 1.0 if capture is None else capture.key


def _as_png(offer: _Offer, max_pixels: int) -> bytes:
    """The pixels as the networks' side decoded them, upright and in full size; nothing else of the file survives."""
    image = decode_image(offer.data, offer.manifest.preprocess.input_size[0], max_pixels)
    pixels, file = Image.new(image.mode, image.size), io.BytesIO()
    pixels.paste(image)
    pixels.save(file, "PNG")
    return file.getvalue()
