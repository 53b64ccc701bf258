"""Several worker processes behind one socket, under uvicorn's supervisor: it starts, replaces and ends them.

A bundle that cannot be opened ends them all, as it ends a single one. Once they answer, one that dies costs no more
than what was in flight in it: who takes its place listens when its bundle is open, unless nobody else answers; where it
cannot be opened, the others go on.
"""

import asyncio
import logging
import multiprocessing
import os
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import MutableSequence
from ctypes import c_bool, c_long
from dataclasses import dataclass
from functools import partial
from itertools import count
from multiprocessing.process import BaseProcess
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any

import uvicorn
from filelock import FileLock, Timeout
from starlette.types import ASGIApp
from uvicorn.supervisors.multiprocess import Multiprocess

from service import garbage, malloc
from service.app import create_app
from service.banner import banner
from service.http.protocol import BoundedHttpProtocol
from service.http.sharing import NOT_LISTENING, Share, SharingLoop
from service.inference.bundle import Bundle
from service.inference.execution import available_cores
from service.logs import configure_logging
from service.monitor.pool import Pool, join
from service.settings import Settings

# A worker does not answer the supervisor before everything is imported: on a busy machine that takes longer than the
# five seconds after which uvicorn would take it for hung, and start another.
HUNG_SECONDS = 60
AGAIN_SECONDS = 10
"""After which another worker tries to open the bundle that one could not open."""

_logger = logging.getLogger("trustserve")

_held: list[FileLock] = []
"""A lock ends with its object; this one ends with the process."""


@dataclass(frozen=True)
class _Opened:
    pid: int
    banner: str


@dataclass(frozen=True)
class _Failed:
    pid: int
    sentence: str


Event = _Opened | _Failed


def serve_workers(settings: Settings, listener: socket.socket, options: dict[str, Any]) -> str | None:
    """Serves until told to end by a signal; gives back why it ended by itself, if it did.

    Args:
        settings: with the number of workers.
        listener: the socket they share.
        options: further ones for uvicorn.
    """
    spawn = multiprocessing.get_context("spawn")
    events: SimpleQueue[Event] = spawn.SimpleQueue()
    # Without a lock: whoever is killed while it holds one would stop all others.
    any_answers = spawn.RawValue(c_bool, False)
    # One that is replaced may still be there when the other begins.
    connections: Any = spawn.RawArray(c_long, [NOT_LISTENING] * 2 * settings.workers)
    with tempfile.TemporaryDirectory(prefix="trustserve-") as folder:
        port = listener.getsockname()[1]
        worker = partial(_create_worker, settings, Path(folder), port, events, any_answers, connections)
        config = uvicorn.Config(
            worker,
            factory=True,
            workers=settings.workers,
            timeout_worker_healthcheck=HUNG_SECONDS,
            loop=f"{SharingLoop.__module__}:{SharingLoop.__name__}",
            **options,
        )
        supervisor = _Supervisor(config, listener, events, any_answers)
        supervisor.run()
        return supervisor.failure


class _Supervisor(Multiprocess):
    """uvicorn's, which also hears how opening the bundle went, and tells the workers whether any of them answers."""

    def __init__(
        self, config: uvicorn.Config, listener: socket.socket, events: "SimpleQueue[Event]", any_answers: c_bool
    ) -> None:
        super().__init__(config, [listener])
        self.failure: str | None = None
        self._events = events
        self._any_answers = any_answers
        self._answering: set[int] = set()
        self._all_answered = False

    def keep_subprocess_alive(self) -> None:
        while not self._events.empty():
            self._hear(self._events.get())
        for process in self.processes:
            # Only the worker's own end, which goes with it: where it dies while it is asked whether it is well, the
            # answer would be waited for until it counts as hung, and no signal be heard meanwhile.
            process.child_conn.close()
        super().keep_subprocess_alive()
        # Those that died were replaced just now.
        self._answering &= {process.pid for process in self.processes if process.pid is not None}
        self._any_answers.value = bool(self._answering)

    def handle_hup(self) -> None:
        # uvicorn would start new workers. These open the new bundle beside the old one, which stays if it is broken.
        for process in self.processes:
            if process.pid is not None:
                os.kill(process.pid, signal.SIGHUP)

    def _hear(self, event: Event) -> None:
        if isinstance(event, _Opened):
            self._answering.add(event.pid)
            _logger.info("worker %d answers", event.pid)
            # Once, when whichever worker is asked will answer.
            if not self._all_answered and self._answering >= {process.pid for process in self.processes}:
                self._all_answered = True
                print(event.banner, flush=True)
        elif self._all_answered and self._answering:
            _logger.error(
                "worker %d does not answer, the others do: %s; another one tries in %d seconds",
                event.pid,
                event.sentence,
                AGAIN_SECONDS,
            )
        else:
            self.failure = self.failure or event.sentence
            self.should_exit.set()


def _create_worker(
    settings: Settings,
    folder: Path,
    port: int,
    events: "SimpleQueue[Event]",
    any_answers: c_bool,
    connections: MutableSequence[int],
) -> ASGIApp:
    """The app of one worker; called in its process."""
    malloc.share_one_arena()
    configure_logging(settings.log_level, settings.log_format)
    parent = multiprocessing.parent_process()
    assert parent is not None, "workers are started by the supervisor"
    threading.Thread(target=_end_with, args=[parent, folder], daemon=True).start()
    pool = Pool(folder, _take_slot(folder))
    join(pool)
    if pool.slot < len(connections):
        SharingLoop.share = BoundedHttpProtocol.share = Share(connections, pool.slot)

    def on_ready(bundle: Bundle) -> None:
        garbage.settle()
        events.put(_Opened(os.getpid(), banner(bundle, settings.host, port)))

    def on_failure(error: Exception) -> None:
        events.put(_Failed(os.getpid(), str(error)))
        # Unless the supervisor ends them all, it starts another one.
        asyncio.get_running_loop().call_later(AGAIN_SECONDS, os.kill, os.getpid(), signal.SIGTERM)

    return create_app(_share_of_cores(settings), on_ready, on_failure, pool, lambda: any_answers.value)


def _take_slot(folder: Path) -> int:
    """The lowest number that no living worker has; the system gives it back, however this process ends."""
    for slot in count():
        lock = FileLock(folder / f"worker-{slot}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        _held.append(lock)
        return slot
    raise AssertionError("count() does not end")


def _end_with(parent: BaseProcess, folder: Path) -> None:
    """Ends this worker, and what they shared, when the supervisor was killed: nobody else would."""
    parent.join()
    shutil.rmtree(folder, ignore_errors=True)
    os.kill(os.getpid(), signal.SIGTERM)


def _share_of_cores(settings: Settings) -> Settings:
    """What one process takes by default for itself, the workers take together."""
    cores = available_cores() // settings.workers
    return settings.model_copy(update={"decode_threads": settings.decode_threads or max(1, min(4, cores))})
