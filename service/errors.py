"""What can go wrong with a request: one small tree that fixes status, title and the reason counted in the metrics."""

from collections.abc import Iterator, Mapping
from typing import ClassVar

IN_THE_LOG = "the log has it under this request_id"


class ServiceError(Exception):
    """A request that gets no answer; the message is for the caller and says the way out."""

    status_code: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    reason: ClassVar[str] = "internal"
    headers: ClassVar[Mapping[str, str]] = {}


class ImageMissing(ServiceError):
    """The request holds no image."""

    status_code = 400
    title = "No image"
    reason = "image_missing"


class UploadMalformed(ServiceError):
    """The body is not the multipart form it says it is."""

    status_code = 400
    title = "Malformed upload"
    reason = "upload_malformed"


class ImageUnreadable(ServiceError):
    """The bytes are no image, or a broken one."""

    status_code = 400
    title = "Unreadable image"
    reason = "image_unreadable"


class ParameterInvalid(ServiceError):
    """A query parameter has a value that means nothing."""

    status_code = 400
    title = "Invalid parameter"
    reason = "parameter_invalid"


class ClientGone(ServiceError):
    """The caller hung up while uploading: nobody reads the answer, only the count remains."""

    status_code = 400
    title = "Client gone"
    reason = "client_gone"


class OperatorError(ServiceError):
    """The operator asks in vain; not counted with requests for predictions."""


class Unauthorized(OperatorError):
    """The route is the operator's, and the request does not show the admin token."""

    status_code = 401
    title = "Unauthorized"
    reason = "unauthorized"
    headers: ClassVar[Mapping[str, str]] = {"WWW-Authenticate": 'Bearer realm="trustserve"'}


class CaptureUnknown(OperatorError):
    """No image is kept under this request id."""

    status_code = 404
    title = "No such capture"
    reason = "capture_unknown"


class NoShadow(OperatorError):
    """There is nothing to promote."""

    status_code = 409
    title = "No shadow"
    reason = "no_shadow"


class RequestInvalid(OperatorError):
    """The body is not what the operator's route takes."""

    status_code = 422
    title = "Invalid request"
    reason = "request_invalid"


class BundleRefused(OperatorError):
    """The bundle cannot be served; what was served before goes on."""

    status_code = 422
    title = "Bundle refused"
    reason = "bundle_refused"


class ImageTooLarge(ServiceError):
    """The file has more bytes than allowed."""

    status_code = 413
    title = "Image too large"
    reason = "image_too_large"
    # The rest of the upload is not read: the connection cannot carry another request.
    headers: ClassVar[Mapping[str, str]] = {"Connection": "close"}


class ImageHasTooManyPixels(ServiceError):
    """The image has more pixels than allowed."""

    status_code = 413
    title = "Image has too many pixels"
    reason = "image_has_too_many_pixels"


class MediaTypeUnsupported(ServiceError):
    """The body is neither a form nor an image."""

    status_code = 415
    title = "Unsupported media type"
    reason = "media_type_unsupported"
    headers: ClassVar[Mapping[str, str]] = {"Accept": "multipart/form-data, image/*"}


class EncodingUnsupported(ServiceError):
    """The body is compressed once more."""

    status_code = 415
    title = "Unsupported content encoding"
    reason = "encoding_unsupported"
    headers: ClassVar[Mapping[str, str]] = {"Accept-Encoding": "identity", "Connection": "close"}


class UploadTooSlow(ServiceError):
    """The body did not come in time."""

    status_code = 408
    title = "Upload too slow"
    reason = "upload_too_slow"
    headers: ClassVar[Mapping[str, str]] = {"Connection": "close"}


class AnswerInvalid(ServiceError):
    """The networks gave something that is no number for this image."""

    status_code = 502
    title = "Invalid answer"
    reason = "answer_invalid"


class InferenceFailed(ServiceError):
    """The networks could not be run on this image."""

    status_code = 503
    title = "Inference failed"
    reason = "inference_failed"
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "1"}


class DeadlineExceeded(ServiceError):
    """There was no answer in time; it is not waited for any longer."""

    status_code = 504
    title = "Deadline exceeded"
    reason = "deadline_exceeded"


class Overloaded(ServiceError):
    """The queue is full."""

    status_code = 503
    title = "Overloaded"
    reason = "overloaded"
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "1"}


class NotReady(ServiceError):
    """The bundle is not open yet, could not be opened, or the service is stopping."""

    status_code = 503
    title = "Not ready"
    reason = "not_ready"
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "1"}


class FeedbackError(ServiceError):
    """A label that is not taken; of no concern to who asks for predictions, and not counted with theirs."""


class FeedbackMalformed(FeedbackError):
    """The body holds no labels that could be told apart."""

    status_code = 400
    title = "Malformed feedback"
    reason = "feedback_malformed"


class AnswerUnknown(FeedbackError):
    """No answer has this request id."""

    status_code = 404
    title = "Unknown answer"
    reason = "answer_unknown"


class LabelContradicts(FeedbackError):
    """The answer has another label, which stays."""

    status_code = 409
    title = "Contradicting label"
    reason = "label_contradicts"


class AnswerExpired(FeedbackError):
    """The label comes later than answers are kept."""

    status_code = 410
    title = "Expired answer"
    reason = "answer_expired"


class FeedbackTooLarge(FeedbackError):
    """The body has more bytes than allowed."""

    status_code = 413
    title = "Feedback too large"
    reason = "feedback_too_large"
    headers: ClassVar[Mapping[str, str]] = {"Connection": "close"}


class TooManyLabels(FeedbackError):
    """The body holds more labels than allowed."""

    status_code = 413
    title = "Too many labels"
    reason = "too_many_labels"


class FeedbackTypeUnsupported(FeedbackError):
    """The body is neither JSON nor a line of JSON each."""

    status_code = 415
    title = "Unsupported media type"
    reason = "feedback_type_unsupported"
    headers: ClassVar[Mapping[str, str]] = {"Accept": "application/json, application/x-ndjson"}


class LabelInvalid(FeedbackError):
    """The label is not what a label looks like, or names no class of the model."""

    status_code = 422
    title = "Invalid label"
    reason = "label_invalid"


class JournalOff(FeedbackError):
    """There is nothing that labels could be joined with."""

    status_code = 501
    title = "No journal"
    reason = "journal_off"


class JournalUnavailable(FeedbackError):
    """The journal's database does not answer."""

    status_code = 503
    title = "Journal unavailable"
    reason = "journal_unavailable"
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "5"}


def error_classes(root: type[ServiceError] = ServiceError) -> Iterator[type[ServiceError]]:
    """The tree, root first."""
    yield root
    for child in root.__subclasses__():
        yield from error_classes(child)
