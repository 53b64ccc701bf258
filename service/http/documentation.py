"""What /docs says about the requests and errors that the routes' signatures cannot."""

from typing import Any

from service.errors import (
    AnswerExpired,
    AnswerInvalid,
    AnswerUnknown,
    BundleRefused,
    CaptureUnknown,
    DeadlineExceeded,
    EncodingUnsupported,
    FeedbackMalformed,
    FeedbackTooLarge,
    FeedbackTypeUnsupported,
    ImageHasTooManyPixels,
    ImageMissing,
    ImageTooLarge,
    ImageUnreadable,
    InferenceFailed,
    JournalOff,
    JournalUnavailable,
    LabelContradicts,
    LabelInvalid,
    MediaTypeUnsupported,
    NoShadow,
    NotReady,
    Overloaded,
    ParameterInvalid,
    RequestInvalid,
    ServiceError,
    TooManyLabels,
    Unauthorized,
    UploadMalformed,
    UploadTooSlow,
)
from service.http.deadline import TIMEOUT_HEADER
from service.http.problems import MEDIA_TYPE, REQUEST_ID_HEADER, problem_type
from service.schemas import Feedback, Problem

Responses = dict[int | str, dict[str, Any]]

EXAMPLES: dict[type[ServiceError], str] = {
    ImageMissing: "the form has no field `image` (fields found: `file`); send the image in it",
    UploadMalformed: "the form breaks off before its closing boundary; send it whole",
    ImageUnreadable: "not an image in a known format; wanted one of JPEG, PNG, WEBP, BMP, GIF, TIFF",
    ParameterInvalid: "probabilities is 'maybe'; wanted true or false",
    ImageTooLarge: "upload is 12000000 bytes, limit is 10000000 bytes; resize the image or raise "
    "TRUSTSERVE_MAX_IMAGE_BYTES",
    ImageHasTooManyPixels: "image is 10000 x 8000 = 80000000 pixels, limit is 50000000; resize it or raise "
    "TRUSTSERVE_MAX_IMAGE_PIXELS",
    MediaTypeUnsupported: "content type is text/plain; send multipart/form-data with the image in field `image`, or "
    "the image itself as image/*",
    EncodingUnsupported: "content encoding is gzip; send the body as it is: images are compressed already",
    UploadTooSlow: "the body was not whole after 30 s; send it faster, or raise TRUSTSERVE_UPLOAD_SECONDS",
    AnswerInvalid: "the networks give no number for this image; the log has it under this request_id",
    InferenceFailed: "the networks could not be run on this image; the log has it under this request_id",
    DeadlineExceeded: "no answer within 10 s; try again when there is less to do, or allow more time",
    NotReady: "opening the bundle models/fashion-mnist; try again shortly",
    Overloaded: "256 images are waiting, limit is 256; try again shortly",
    ServiceError: "something unexpected happened; the log has it under this request_id",
    FeedbackMalformed: "the body is not JSON: EOF while parsing an object at line 1 column 20; send one label, or a "
    "list of labels",
    AnswerUnknown: "no answer has request_id 3f0c1d3c; send the one that came with the answer",
    LabelContradicts: "answer 3f0c1d3c has another label (Ankle boot), which stays; this one is not taken",
    AnswerExpired: "answer 3f0c1d3c is no longer kept; send labels sooner or raise TRUSTSERVE_JOURNAL_DAYS",
    FeedbackTooLarge: "body is 2000000 bytes, limit is 1000000; send fewer labels at once or raise "
    "TRUSTSERVE_MAX_FEEDBACK_BYTES",
    TooManyLabels: "100000 labels in one request, limit is 1000; send them in several requests",
    FeedbackTypeUnsupported: "content type is text/plain; send application/json, or one object a line as "
    "application/x-ndjson",
    LabelInvalid: "label 'Boot' is no class of the model; known are 'T-shirt/top', 'Trouser' and 8 more",
    JournalOff: "answers are not kept for labels: TRUSTSERVE_JOURNAL is off; set it to a database",
    Unauthorized: "this is the operator's; send the admin token as `Authorization: Bearer ...`",
    NoShadow: "there is no shadow to promote; POST /admin/shadow opens one",
    RequestInvalid: "body.model: Field required; /docs shows what is taken",
    BundleRefused: "models/new/oracle.onnx differs from the manifest; export the bundle again; what was served before "
    "goes on",
    CaptureUnknown: "no image is kept under '3f0c1d3c'; /captures lists those that are",
    JournalUnavailable: "the journal does not answer; nothing of these labels was taken, send them again",
}
PREDICT_ERRORS = (
    ImageMissing,
    UploadMalformed,
    ImageUnreadable,
    ParameterInvalid,
    UploadTooSlow,
    ImageTooLarge,
    ImageHasTooManyPixels,
    MediaTypeUnsupported,
    EncodingUnsupported,
    AnswerInvalid,
    NotReady,
    Overloaded,
    InferenceFailed,
    DeadlineExceeded,
    ServiceError,
)
FEEDBACK_ERRORS = (
    FeedbackMalformed,
    AnswerUnknown,
    LabelContradicts,
    AnswerExpired,
    FeedbackTooLarge,
    TooManyLabels,
    FeedbackTypeUnsupported,
    LabelInvalid,
    JournalOff,
    JournalUnavailable,
    NotReady,
    Overloaded,
    ServiceError,
)
MONITOR_ERRORS = (ParameterInvalid, NotReady, Overloaded, ServiceError)

PREDICT_REQUEST: dict[str, Any] = {
    "parameters": [
        {
            "name": "probabilities",
            "in": "query",
            "description": "answer with the probability of every class too",
            "schema": {"type": "boolean", "default": False},
        },
        {
            "name": TIMEOUT_HEADER,
            "in": "header",
            "description": "seconds to wait for the answer, where that is less than the service would; then 504",
            "schema": {"type": "number", "exclusiveMinimum": 0},
        },
        {
            "name": REQUEST_ID_HEADER,
            "in": "header",
            "description": "an id of yours, kept if it is 1 to 64 of A-Z a-z 0-9 . _ -",
            "schema": {"type": "string"},
        },
    ],
    "requestBody": {
        "required": True,
        "description": "One image (JPEG, PNG, WebP, BMP, GIF, TIFF), in form field `image` or as the body itself.",
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "properties": {"image": {"type": "string", "format": "binary", "description": "one image"}},
                }
            },
            "image/*": {"schema": {"type": "string", "format": "binary"}},
        },
    },
}

_FEEDBACK = Feedback.model_json_schema()

FEEDBACK_REQUEST: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "One label, a list of labels, or one label a line.",
        "content": {
            "application/json": {"schema": {"anyOf": [_FEEDBACK, {"type": "array", "items": _FEEDBACK}]}},
            "application/x-ndjson": {"schema": {"type": "string"}},
        },
    },
}

MONITOR_REQUEST: dict[str, Any] = {
    "parameters": [
        {
            "name": "window",
            "in": "query",
            "description": "length of the window, from 10s to 7d",
            "schema": {"type": "string", "default": "1h", "examples": ["15m", "1h", "1d"]},
        },
        {
            "name": "of",
            "in": "query",
            "description": "whose figures: of the bundle that answers, or of the one in its shadow",
            "schema": {"type": "string", "default": "champion", "enum": ["champion", "shadow"]},
        },
    ]
}


def error_responses(*errors: type[ServiceError]) -> Responses:
    """OpenAPI responses for these errors, one a status, with an example of each."""
    responses: Responses = {}
    for error in errors:
        response = responses.setdefault(
            error.status_code,
            {
                "description": "",
                "headers": {REQUEST_ID_HEADER: {"schema": {"type": "string"}}},
                "content": {MEDIA_TYPE: {"schema": Problem.model_json_schema(), "examples": {}}},
            },
        )
        response["description"] = " or ".join(filter(None, [response["description"], error.title]))
        response["headers"] |= {name: {"schema": {"type": "string"}} for name in error.headers if name != "Connection"}
        response["content"][MEDIA_TYPE]["examples"][error.reason] = {
            "summary": error.title,
            "value": Problem(
                type=problem_type(error),
                title=error.title,
                status=error.status_code,
                detail=EXAMPLES[error],
                request_id="3f0c1d3c5b8e4e0c9b6b0b1b7a1d2e3f",
            ).model_dump(),
        }
    return responses
