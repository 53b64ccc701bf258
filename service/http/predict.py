"""POST /predict, as an ASGI application of its own: one request from its first byte to its answer, top to bottom.

None of the framework's routing, middleware and validation runs for it: on a small network they take longer than the
answer. It is described to the framework all the same, for /docs.
"""

import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from pydantic_core import to_json
from starlette.types import ASGIApp, Receive, Scope, Send

from service.captures.reservoir import Captures
from service.errors import IN_THE_LOG, ParameterInvalid, ServiceError
from service.http.admission import Admission
from service.http.deadline import TIMEOUT_HEADER, seconds_allowed, wait_for
from service.http.exchange import BODY_IS_WHOLE
from service.http.headers import ANSWER, SecurityHeaders
from service.http.problems import REQUEST_ID_HEADER, problem_response
from service.http.request_id import choose_id
from service.http.timers import CoarseTimers
from service.http.upload import UploadLimits, read_image
from service.inference.answer import Answer
from service.inference.engine import Engine
from service.inference.lane import Lane
from service.monitor.metrics import Metrics
from service.settings import Settings

PATH = "/predict"

_REQUEST_ID, _TIMEOUT = REQUEST_ID_HEADER.lower().encode(), TIMEOUT_HEADER.lower().encode()
_FLAGS = {"true": True, "1": True, "": True, "false": False, "0": False}

_logger = logging.getLogger("trustserve")


class PredictFirst:
    """Middleware that gives POST /predict to its handler, and all else to the app that it stands before."""

    def __init__(self, app: ASGIApp, predict: ASGIApp) -> None:
        self._app, self._predict = app, predict

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        first = scope["type"] == "http" and scope["path"] == PATH and scope["method"] == "POST"
        await (self._predict if first else self._app)(scope, receive, send)


class Predict:
    """Answers requests to POST /predict.

    Args:
        engine: that answers.
        admission: how much may be in flight.
        metrics, captures: see each request.
        settings: of the service.
    """

    def __init__(
        self, engine: Engine, admission: Admission, metrics: Metrics, captures: Captures, settings: Settings
    ) -> None:
        self._engine, self._admission = engine, admission
        self._metrics, self._captures = metrics, captures
        self._limits = UploadLimits(settings.max_image_bytes, settings.upload_seconds)
        self._deadline_seconds = settings.deadline_seconds
        self._timers = CoarseTimers()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        request_id = choose_id(headers.get(_REQUEST_ID, b"").decode("latin-1"))
        try:
            with self._metrics.request():
                body = await self._answer(request_id, headers, scope, receive)
        except ServiceError as error:
            await SecurityHeaders(problem_response(request_id, error))(scope, receive, send)
        except Exception:
            _logger.exception("request %s to %s failed", request_id, scope["path"], extra={"request_id": request_id})
            unexpected = ServiceError(f"something unexpected happened; {IN_THE_LOG}")
            await SecurityHeaders(problem_response(request_id, unexpected))(scope, receive, send)
        else:
            await _send_json(body, request_id, self._engine.stopping, send)

    async def _answer(self, request_id: str, headers: Mapping[bytes, bytes], scope: Scope, receive: Receive) -> bytes:
        # Before a byte is read: does anything answer at all?
        self._engine.check_open()
        with_probabilities = _wants_probabilities(scope["query_string"])
        seconds = seconds_allowed(headers.get(_TIMEOUT), self._deadline_seconds)
        with self._admission.seat() as seat:
            is_whole = BODY_IS_WHOLE in scope.get("extensions", ())
            data = await read_image(headers, receive, self._limits, seat, is_whole)
            seat.wait()
            # Only now: the upload may have taken longer than the life of a bundle.
            lane = self._engine.lane
            answer = await wait_for(lane.submit(request_id, data, seconds), seconds, receive, self._timers)
        self._captures.offer(request_id, answer, lane.bundle.manifest, data)
        self._engine.offer_to_shadow(request_id, data)
        return _prediction(request_id, answer, lane, with_probabilities)


def _wants_probabilities(query: bytes) -> bool:
    if not query:
        return False
    (value, *_) = parse_qs(query.decode("latin-1"), keep_blank_values=True).get("probabilities", ["false"])
    if value.lower() not in _FLAGS:
        raise ParameterInvalid(f"probabilities is {value[:64]!r}; wanted true or false")
    return _FLAGS[value.lower()]


def _prediction(request_id: str, answer: Answer, lane: Lane, with_probabilities: bool) -> bytes:
    """The JSON of a `Prediction`; a test holds it to that, instead of a validation in each request."""
    classes = lane.bundle.manifest.classes
    prediction: dict[str, Any] = {
        "request_id": request_id,
        "label": classes[answer.class_index],
        "class_index": answer.class_index,
        "confidence": answer.confidence,
        "trust_probability": answer.trust,
        "decision": "trust" if answer.trusted else "untrust",
        "threshold": answer.threshold,
        "model": lane.model_json,
    }
    if with_probabilities:
        prediction["probabilities"] = dict(zip(classes, answer.probabilities.tolist(), strict=True))
    return to_json(prediction)


async def _send_json(body: bytes, request_id: str, last: bool, send: Send) -> None:
    headers = [
        *ANSWER,
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (_REQUEST_ID, request_id.encode()),
    ]
    if last:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
