"""The service with a clock around each step of a request; GET /timings gives what they took and begins anew.

python -m benchmarks.serving.instrumented PORT BUNDLE STATE
"""

import inspect
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import uvicorn
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from service.app import create_app
from service.settings import load_settings


@dataclass(frozen=True)
class Step:
    """A function of the service, by where it is looked up, and the step within which it runs."""

    title: str
    function: str
    within: str | None = None


STEPS = (
    Step("handler", "service.http.predict:Predict.__call__"),
    Step("reading the form", "service.http.predict:read_image", "handler"),
    Step("multipart", "service.http.upload:image_of_form", "reading the form"),
    Step("waiting for the answer", "service.http.predict:wait_for", "handler"),
    Step("decoding", "service.inference.batching:Decoder.decode_at_once", "waiting for the answer"),
    Step("answering", "service.inference.lane:answer_batch", "waiting for the answer"),
    Step("both networks", "service.inference.sessions:SessionPair.run", "answering"),
    Step("handing over to the monitor", "service.monitor.live:Live.observe", "waiting for the answer"),
    Step("answer as JSON", "service.http.predict:_prediction", "handler"),
    Step("monitoring, in its own thread", "service.monitor.live:Live.fold"),
)

_clock = time.perf_counter_ns


class Timings:
    """Calls and nanoseconds of each step."""

    def __init__(self) -> None:
        self.calls, self.nanoseconds = Counter[str](), Counter[str]()

    def add(self, title: str, nanoseconds: int) -> None:
        self.calls[title] += 1
        self.nanoseconds[title] += nanoseconds

    def take(self) -> dict[str, dict[str, int]]:
        """What was added since the last time."""
        taken = {"calls": dict(self.calls), "nanoseconds": dict(self.nanoseconds)}
        self.calls.clear()
        self.nanoseconds.clear()
        return taken


def clock_steps(timings: Timings) -> None:
    """Replaces each step's function by itself with a clock around it."""
    for step in STEPS:
        owner, name = find(step)
        setattr(owner, name, _clocked(getattr(owner, name), step.title, timings))


def find(step: Step) -> tuple[Any, str]:
    """The module or class that has the step's function, and its name there."""
    module, _, path = step.function.partition(":")
    owner: Any = import_module(module)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    return owner, name


def _clocked(function: Callable[..., Any], title: str, timings: Timings) -> Callable[..., Any]:
    async def clocked_coroutine(*args: Any, **kwargs: Any) -> Any:
        began = _clock()
        try:
            return await function(*args, **kwargs)
        finally:
            timings.add(title, _clock() - began)

    def clocked(*args: Any, **kwargs: Any) -> Any:
        began = _clock()
        try:
            return function(*args, **kwargs)
        finally:
            timings.add(title, _clock() - began)

    return clocked_coroutine if inspect.iscoroutinefunction(function) else clocked


def main(port: int, bundle: Path, state: Path) -> None:
    """Serves until ended."""
    timings = Timings()
    clock_steps(timings)
    service = create_app(load_settings(model=bundle, state=state, device="cpu"))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/timings":
            await JSONResponse(timings.take())(scope, receive, send)
        else:
            await service(scope, receive, send)

    uvicorn.run(app, port=port, log_config=None, access_log=False, ws="none", lifespan="on")


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
