"""POST /feedback and GET /monitor: labels come in, figures go out; neither is in the way of /predict."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import anyio
from fastapi import FastAPI
from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from service.errors import (
    AnswerExpired,
    AnswerUnknown,
    LabelContradicts,
    LabelInvalid,
    Overloaded,
    ParameterInvalid,
)
from service.http.documentation import (
    FEEDBACK_ERRORS,
    FEEDBACK_REQUEST,
    MONITOR_ERRORS,
    MONITOR_REQUEST,
    error_responses,
)
from service.http.feedback import parse_labels, read_body
from service.inference.engine import Engine
from service.inference.lane import Lane
from service.journal.records import Label, Labelled, Outcome
from service.monitor.schemas import MonitorReport
from service.schemas import LabelOutcome
from service.settings import Settings

THREADS = 4
MOST_WAITING = 64
"""Requests that wait for one of the threads, as when the journal's database is slow; then 503."""

Result = TypeVar("Result")
_OUTCOMES = TypeAdapter(list[LabelOutcome])


def add_monitor(app: FastAPI, settings: Settings, engine: Engine) -> None:
    """Gives an app both routes."""
    # Of their own: the threads of other routes stay free when a database is slow.
    limiter = anyio.CapacityLimiter(THREADS)

    async def beside(work: Callable[[], Result]) -> Result:
        if limiter.statistics().tasks_waiting >= MOST_WAITING:
            raise Overloaded(f"{MOST_WAITING} requests wait for the journal, that is the limit; try again shortly")
        return await anyio.to_thread.run_sync(work, limiter=limiter)

    @app.post(
        "/feedback",
        response_model=LabelOutcome | list[LabelOutcome],
        responses=error_responses(*FEEDBACK_ERRORS),
        openapi_extra=FEEDBACK_REQUEST,
        tags=["monitor"],
    )
    async def feedback(request: Request) -> Response:
        """Takes labels of answers given before: one, a list, or one a line.

        The first label of an answer stays. One alone gets its outcome as status; of several each has its own, in their
        order, under status 200:
        `curl -d '{"request_id": "...", "label": "Ankle boot"}' -H 'Content-Type: application/json' .../feedback`.
        """
        classes = engine.lane.bundle.manifest.classes
        body = await read_body(request, settings.max_feedback_bytes)
        media_type = request.headers.get("content-type", "")

        def take() -> str:
            sent = parse_labels(body, media_type, classes, settings.max_feedback_items)
            if isinstance(sent, list):
                return _OUTCOMES.dump_json(_take_several(engine, sent, classes), exclude_none=True).decode()
            return _take_one(engine, sent, classes).model_dump_json(exclude_none=True)

        return Response(await beside(take), media_type="application/json")

    @app.get(
        "/monitor",
        response_model=MonitorReport,
        responses=error_responses(*MONITOR_ERRORS),
        openapi_extra=MONITOR_REQUEST,
        tags=["monitor"],
    )
    async def monitor(request: Request) -> Response:
        """Says how far the model can be trusted in a window that ends now, all workers together.

        Each figure comes with its 95 % interval, or as "insufficient data".
        """
        live, asked = _lane(engine, request).live, request.query_params.get("window", "1h")
        report = await beside(lambda: live.report(asked).model_dump_json(exclude_none=True))
        return Response(report, media_type="application/json")


def _lane(engine: Engine, request: Request) -> Lane:
    of = request.query_params.get("of", "champion")
    if of not in ("champion", "shadow"):
        raise ParameterInvalid(f"of is {of[:64]!r}; wanted champion or shadow")
    if of == "champion":
        return engine.lane
    if engine.shadow is None:
        raise ParameterInvalid("of is 'shadow', and there is none; POST /admin/shadow opens one")
    return engine.shadow


def _take_one(engine: Engine, sent: Label | LabelInvalid, classes: Sequence[str]) -> LabelOutcome:
    """The outcome of a label that comes alone; raised where it is not taken."""
    if isinstance(sent, LabelInvalid):
        engine.lane.live.count_invalid(1)
        raise sent
    (result,) = engine.label([sent])
    detail = _detail(result, classes)
    errors = {
        Outcome.contradicting: LabelContradicts,
        Outcome.unknown: AnswerUnknown,
        Outcome.expired: AnswerExpired,
    }
    if result.outcome in errors:
        raise errors[result.outcome](detail)
    return LabelOutcome(request_id=sent.request_id, outcome=result.outcome.value)


def _take_several(engine: Engine, sent: Sequence[Label | LabelInvalid], classes: Sequence[str]) -> list[LabelOutcome]:
    """An outcome each, in their order."""
    results = iter(engine.label([label for label in sent if isinstance(label, Label)]))
    engine.lane.live.count_invalid(sum(isinstance(label, LabelInvalid) for label in sent))
    return [
        LabelOutcome(request_id=None, outcome="invalid", detail=str(label))
        if isinstance(label, LabelInvalid)
        else _outcome(next(results), classes)
        for label in sent
    ]


def _outcome(result: Labelled, classes: Sequence[str]) -> LabelOutcome:
    return LabelOutcome(
        request_id=result.label.request_id, outcome=result.outcome.value, detail=_detail(result, classes)
    )


def _detail(result: Labelled, classes: Sequence[str]) -> str | None:
    name = result.label.request_id
    match result.outcome:
        case Outcome.contradicting:
            index = -1 if result.kept is None else result.kept.class_index
            # A label of an older version may be of a class that this one does not have.
            kept = f" ({classes[index]})" if 0 <= index < len(classes) else ""
            return f"answer {name} has another label{kept}, which stays; this one is not taken"
        case Outcome.unknown:
            return f"no answer has request_id {name}; send the one that came with the answer"
        case Outcome.expired:
            return f"answer {name} is no longer kept; send labels sooner or raise TRUSTSERVE_JOURNAL_DAYS"
        case _:
            return None
