"""Labels out of the body of POST /feedback: one JSON object, a list of them, or one a line (NDJSON).

Several labels fare each on its own: one that is wrong does not cost the others.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json
from starlette.requests import ClientDisconnect, Request

from service.errors import (
    ClientGone,
    FeedbackMalformed,
    FeedbackTooLarge,
    FeedbackTypeUnsupported,
    LabelInvalid,
    TooManyLabels,
)
from service.journal.records import Label
from service.schemas import Feedback

JSON, JSON_LINES = "application/json", ("application/x-ndjson", "application/ndjson", "application/jsonl")


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The body, at most `max_bytes`; what is over the limit never is in memory.

    Raises:
        FeedbackTooLarge: it is larger.
        ClientGone: the caller hung up.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and len(announced) < 19 and int(announced) > max_bytes:
        raise FeedbackTooLarge(_too_large(f"body is {announced} bytes", max_bytes))
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > max_bytes:
                raise FeedbackTooLarge(_too_large("body is larger than allowed", max_bytes))
    except ClientDisconnect:
        raise ClientGone("the connection closed before all labels were sent") from None
    return bytes(body)


def parse_labels(
    body: bytes, media_type: str, classes: Sequence[str], max_items: int
) -> Label | LabelInvalid | list[Label | LabelInvalid]:
    """What a body says: one label, or several in their order; in place of one that is none, what is wrong with it.

    Args:
        body: as it was sent.
        media_type: of the header Content-Type, parameters and all.
        classes: names, in the order of the classifier's outputs.
        max_items: most labels in one body.

    Raises:
        FeedbackTypeUnsupported, FeedbackMalformed, TooManyLabels: nothing of the body is taken.
    """
    kind = media_type.partition(";")[0].strip().lower()
    if kind in JSON_LINES:
        lines = [line for line in body.splitlines() if line.strip()]
        if not lines:
            raise FeedbackMalformed("there is no line with a label; send one JSON object a line")
        _check_count(len(lines), max_items)
        return [_label_of_line(line, classes) for line in lines]
    if kind != JSON:
        found = f"content type is {kind[:64]}" if kind else "there is no content type"
        raise FeedbackTypeUnsupported(f"{found}; send {JSON}, or one object a line as {JSON_LINES[0]}")
    try:
        sent = from_json(body)
    except ValueError as error:
        raise FeedbackMalformed(f"the body is not JSON: {error}; send one label, or a list of labels") from None
    if not isinstance(sent, list):
        return _label(sent, classes)
    if not sent:
        raise FeedbackMalformed("the list is empty; send at least one label")
    _check_count(len(sent), max_items)
    return [_label(item, classes) for item in sent]


def _label_of_line(line: bytes, classes: Sequence[str]) -> Label | LabelInvalid:
    try:
        return _label(from_json(line), classes)
    except ValueError as error:
        return LabelInvalid(f"the line is not JSON: {error}")


def _label(sent: Any, classes: Sequence[str]) -> Label | LabelInvalid:
    try:
        feedback = Feedback.model_validate(sent)
    except ValidationError as error:
        return LabelInvalid(_first_of(error))
    index = feedback.class_index
    if feedback.label is not None:
        if feedback.label not in classes:
            return LabelInvalid(f"label {_shown(feedback.label)} is no class of the model; {_known(classes)}")
        index = classes.index(feedback.label)
    assert index is not None, "one of the two is there"
    if index >= len(classes):
        return LabelInvalid(f"class_index {_shown(index)} is no class of the model; wanted 0 to {len(classes) - 1}")
    return Label(feedback.request_id, index, feedback.sampling_probability)


def _first_of(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    where = ".".join(map(str, first["loc"]))[:64]
    if first["type"] == "missing":
        return f"{where} is missing; send request_id and label or class_index"
    message = first["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    return f"{where} is {_shown(first['input'])}; {message}" if where else f"{_shown(first['input'])}: {message}"


def _known(classes: Sequence[str]) -> str:
    few: Iterable[str] = classes[:5]
    return f"known are {', '.join(map(_shown, few))}" + (f" and {len(classes) - 5} more" if len(classes) > 5 else "")


def _shown(value: Any) -> str:
    """A caller's value as far as it helps to find it."""
    text = repr(value)
    return text if len(text) <= 64 else f"{text[:61]}..."


def _check_count(found: int, limit: int) -> None:
    if found > limit:
        raise TooManyLabels(f"{found} labels in one request, limit is {limit}; send them in several requests")


def _too_large(finding: str, max_bytes: int) -> str:
    return f"{finding}, limit is {max_bytes}; send fewer labels at once or raise TRUSTSERVE_MAX_FEEDBACK_BYTES"
