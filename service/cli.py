"""trustserve serve | predict | inspect | recalibrate: the command line."""

import signal
import socket
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, TypedDict

import cyclopts
import uvicorn
from cyclopts import Parameter

from service import garbage, malloc
from service.app import create_app
from service.banner import banner
from service.http.protocol import BoundedHttpProtocol
from service.http.signals import end_at_once
from service.inference.answer import threshold_in_force
from service.inference.batching import INFERENCE_THREAD
from service.inference.bundle import Bundle, check_golden, golden_differences, load_bundle, open_bundle
from service.inference.execution import execution_of
from service.journal.records import JournalAway
from service.local import answer_files
from service.logs import configure_logging
from service.recalibration import NothingToRefit, collect_feedback, refit, write_feedback
from service.settings import Settings, SettingsError, load_settings
from service.workers import serve_workers
from trust.manifest import BundleError, read_manifest

GRACEFUL_SECONDS = 10


def _help(name: str) -> str:
    field = Settings.model_fields[name]
    return f"{field.description}" + ("" if field.default is None else f" [default: {field.default}]")


app = cyclopts.App(
    name="trustserve",
    help="Serve an image classifier with a calibrated probability that each answer is right.",
    version=version("trustserve"),
)

# Made from the settings: a flag that is not given is not in the dictionary, and the environment holds.
Flags = TypedDict(  # type: ignore[misc]
    "Flags",
    {name: Annotated[field.annotation, Parameter(help=_help(name))] for name, field in Settings.model_fields.items()},
    total=False,
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line, by default the process's own.

    What is wrong with settings or bundle becomes one sentence and exit status 1.
    """
    try:
        app(sys.argv[1:] if arguments is None else arguments)
    except (SettingsError, BundleError, JournalAway, NothingToRefit) as error:
        sys.exit(f"trustserve: {error}")


@app.command
def serve(*, flags: Annotated[Flags | None, Parameter(name="*")] = None) -> None:
    """Serve a bundle over HTTP; each option overrides its TRUSTSERVE_* variable."""
    settings = load_settings(**(flags or {}))
    configure_logging(settings.log_level, settings.log_format)
    listener = _listen(settings.host, settings.port)
    if settings.workers > 1:
        failure = serve_workers(settings, listener, _server_options(settings))
    else:
        failure = _serve_here(settings, listener)
    if failure is not None:
        sys.exit(f"trustserve: {failure}")


@app.command
def predict(
    images: Annotated[list[Path], Parameter(consume_multiple=True)],
    /,
    *,
    model: Path | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Answer image files here, without a server; exit status 1 if one of them cannot be answered.

    Args:
        images: image files.
        model: folder of the bundle; unset: TRUSTSERVE_MODEL, else the default of `serve`.
        json: print one JSON object a line.
    """
    from rich.console import Console  # only here and below: `serve` draws no tables

    from service.console import answer_line, answer_table

    settings = load_settings(**({} if model is None else {"model": model}))
    bundle = open_bundle(settings.model, execution_of(settings))
    manifest = bundle.manifest
    threshold = threshold_in_force(settings.threshold, bundle)
    rows = []
    for row in answer_files(bundle, threshold, images, settings.max_batch, settings.max_image_pixels):
        rows.append(row)
        if json:
            print(answer_line(row, manifest), flush=True)
    if not json:
        Console().print(answer_table(rows, manifest, threshold))
    if any(row.answer is None for row in rows):
        sys.exit(1)


@app.command
def inspect(bundle: Path, /) -> None:
    """Show a bundle's manifest, verify its files and replay its golden batch.

    Args:
        bundle: folder of the bundle.
    """
    from rich.console import Console

    from service.console import print_inspection

    settings = load_settings(model=bundle)
    opened = load_bundle(settings.model, execution_of(settings))
    differences = golden_differences(opened)
    print_inspection(Console(), opened, differences)
    check_golden(opened, differences)


def _serve_here(settings: Settings, listener: socket.socket) -> str | None:
    """Serves in this process until it is told to end; gives back why it ended by itself, if it did."""
    malloc.share_one_arena()
    failures: list[Exception] = []

    def on_ready(bundle: Bundle) -> None:
        garbage.settle()
        print(banner(bundle, settings.host, listener.getsockname()[1]), flush=True)

    def on_failure(error: Exception) -> None:
        failures.append(error)
        server.should_exit = True

    server = uvicorn.Server(uvicorn.Config(create_app(settings, on_ready, on_failure), **_server_options(settings)))
    # uvicorn raises the signal that ended it once more. Everything was answered: that is no error.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with suppress(KeyboardInterrupt):
        server.run(sockets=[listener])
    _leave_hanging_batches()
    return str(failures[0]) if failures else None


def _leave_hanging_batches() -> None:
    """Ends the process where a batch does not end: nobody waits for it, all else is closed."""
    if any(thread.name == INFERENCE_THREAD for thread in threading.enumerate()):
        end_at_once()


def _server_options(settings: Settings) -> dict[str, Any]:
    return {
        "http": BoundedHttpProtocol,
        "log_config": None,
        # Ours knows the request id, and does not write while a request waits.
        "access_log": False,
        "lifespan": "on",
        "ws": "none",
        "server_header": False,
        "timeout_keep_alive": settings.keep_alive_seconds,
        "timeout_graceful_shutdown": GRACEFUL_SECONDS,
    }


@app.command
def recalibrate(
    bundle: Path,
    /,
    *,
    to: Path,
    journal: str | None = None,
    days: float = 30,
    feedback: Path | None = None,
    risk: float | None = None,
    confidence: float | None = None,
    force: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Refit trust head and threshold to labelled live traffic, as a new version; exit status 1 if it is no better.

    The journal is read here, the fit is the training package's: trustserve[training].

    Args:
        bundle: folder of the bundle that answered.
        to: folder of the new version.
        journal: database URL; unset: TRUSTSERVE_JOURNAL, else that of `serve`.
        days: how far back answers count.
        feedback: file that the labelled answers are written to; unset: beside the new version. It holds no images.
        risk: error rate among trusted answers to stay below; unset: that of the bundle's promise.
        confidence: probability that the promise holds; unset: that of the bundle's promise.
        force: write the new version even if it is no better, on the record.
    """
    settings = load_settings(model=bundle, **({} if journal is None else {"journal": journal}))
    if settings.journal_url is None:
        raise SettingsError("the journal is off; name the one to read with --journal")
    manifest = read_manifest(bundle)
    found = collect_feedback(settings.journal_url, manifest, days)
    path = feedback or to.with_name(f"{to.name}-feedback.npz")
    write_feedback(path, manifest, found)
    most = "" if found.complete else ", the newest"
    print(f"{len(found.target)} labelled answers{most} of {manifest.name} {manifest.version} in {path}", flush=True)
    options = [
        f"--{name}={value!r}" for name, value in (("risk", risk), ("confidence", confidence)) if value is not None
    ]
    if status := refit(bundle, path, to, [*options, *(["--force"] if force else [])]):
        sys.exit(status)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address[:2], family=family, backlog=2048)
    except OSError as error:
        raise SettingsError(
            f"cannot listen on {host}:{port}: {error.strerror}; choose another address with --host and --port"
        ) from None
