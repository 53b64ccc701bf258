"""Errors on the wire: RFC 9457 problem bodies, for our own errors and for what the framework finds."""

import asyncio
import http
from collections.abc import Mapping
from contextlib import suppress

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.errors import RequestInvalid, ServiceError
from service.schemas import Problem

MEDIA_TYPE = "application/problem+json"
REQUEST_ID_HEADER = "X-Request-ID"
LINGER_SECONDS = 1.0


def add_problem_handlers(app: FastAPI) -> None:
    """Makes every error of an app a problem."""
    app.add_exception_handler(ServiceError, _on_service_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)


def problem_type(error: type[ServiceError]) -> str:
    """Names a kind of error for programs.

    >>> from service.errors import ImageTooLarge
    >>> problem_type(ImageTooLarge)
    'urn:trustserve:problem:image-too-large'
    """
    return "urn:trustserve:problem:" + error.reason.replace("_", "-")


def problem_response(request_id: str, error: ServiceError) -> Response:
    """The response that tells of an error."""
    problem = Problem(
        type=problem_type(type(error)),
        title=error.title,
        status=error.status_code,
        detail=str(error),
        request_id=request_id,
    )
    # Who closes the connection has not read what the caller is still sending.
    kind = _LingeringResponse if error.headers.get("Connection") == "close" else Response
    return _respond(problem, error.headers, kind)


class _LingeringResponse(Response):
    """Sent whole at once, but the connection stays open a moment for what the caller is still sending.

    A connection closed on unread bytes is reset, and the reset can overtake the answer.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while (await receive()).get("more_body", False):
                    pass
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _on_service_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)
    return problem_response(request.state.request_id, error)


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    """The first thing that is wrong, without the value: it may be long, or a secret in the wrong place."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    invalid = RequestInvalid(f"{'.'.join(map(str, first['loc']))}: {first['msg']}; /docs shows what is taken")
    return problem_response(request.state.request_id, invalid)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    """400, 404 and 405 of the framework; about:blank says that the status says it all (RFC 9457, 4.2.1)."""
    assert isinstance(error, HTTPException)
    if error.status_code == http.HTTPStatus.BAD_REQUEST:
        invalid = RequestInvalid("the body cannot be read; /docs shows what is taken")
        return problem_response(request.state.request_id, invalid)
    headers = dict(error.headers or {})
    detail = error.detail
    if error.status_code == http.HTTPStatus.NOT_FOUND:
        detail = f"there is no {request.url.path}; / lists what there is"
    elif error.status_code == http.HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"{request.url.path} does not take {request.method}; allowed: {headers.get('Allow', '')}"
    problem = Problem(
        type="about:blank",
        title=http.HTTPStatus(error.status_code).phrase,
        status=error.status_code,
        detail=detail,
        request_id=request.state.request_id,
    )
    return _respond(problem, headers)


def _respond(problem: Problem, headers: Mapping[str, str], kind: type[Response] = Response) -> Response:
    headers = {**headers, REQUEST_ID_HEADER: problem.request_id}
    return kind(problem.model_dump_json(), problem.status, headers, MEDIA_TYPE)
