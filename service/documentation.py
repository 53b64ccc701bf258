"""What /docs says about the requests and errors that the routes' signatures cannot."""

from typing import Any

from service.errors import (
    CaptureUnknown,
    ImageHasTooManyPixels,
    ImageMissing,
    ImageTooLarge,
    ImageUnreadable,
    MediaTypeUnsupported,
    NotReady,
    Overloaded,
    ParameterInvalid,
    ServiceError,
    Unauthorized,
    UploadMalformed,
)
from service.problems import MEDIA_TYPE, problem_type
from service.request_id import HEADER
from service.schemas import Problem

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
    NotReady: "opening the bundle models/fashion-mnist; try again shortly",
    Overloaded: "256 images are waiting, limit is 256; try again shortly",
    ServiceError: "something unexpected happened; the log has it under this request_id",
}

ADMIN_EXAMPLES: dict[type[ServiceError], str] = {
    Unauthorized: "this is the operator's; send the admin token as `Authorization: Bearer ...`",
    CaptureUnknown: "no image is kept under 3f0c1d3c; /captures lists those that are",
}

PREDICT_REQUEST: dict[str, Any] = {
    "parameters": [
        {
            "name": "probabilities",
            "in": "query",
            "description": "answer with the probability of every class too",
            "schema": {"type": "boolean", "default": False},
        },
        {
            "name": HEADER,
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


def error_responses(*errors: type[ServiceError]) -> Responses:
    """OpenAPI responses for these errors, one a status, with an example of each."""
    responses: Responses = {}
    for error in errors:
        response = responses.setdefault(
            error.status_code,
            {
                "description": "",
                "headers": {HEADER: {"schema": {"type": "string"}}},
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
                detail=(EXAMPLES | ADMIN_EXAMPLES)[error],
                request_id="3f0c1d3c5b8e4e0c9b6b0b1b7a1d2e3f",
            ).model_dump(),
        }
    return responses
