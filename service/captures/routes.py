"""GET /captures: the captured images, for those who know the admin token."""

from fastapi import Depends, FastAPI
from fastapi.responses import Response

from service.captures.folder import Capture, CaptureFolder
from service.errors import CaptureUnknown, Unauthorized
from service.http.admin import RequireAdmin
from service.http.documentation import error_responses
from service.schemas import CapturedImage, CaptureList, ModelName

LISTED = 1000
"""Most captures in one answer, the newest."""


def add_captures(app: FastAPI, folder: CaptureFolder, require_admin: RequireAdmin) -> None:
    """Adds the two routes to an app."""
    guarded = [Depends(require_admin)]

    @app.get("/captures", dependencies=guarded, responses=error_responses(Unauthorized), tags=["operator"])
    def captures() -> CaptureList:
        """Lists the captured images with class, decision, trust and time."""
        kept = sorted(folder.kept(), key=lambda each: each.captured_at, reverse=True)
        found = [capture for each in kept[:LISTED] if (capture := each.read())]
        return CaptureList(total=len(kept), captures=[_captured_image(capture) for capture in found])

    @app.get(
        "/captures/{request_id}",
        dependencies=guarded,
        response_class=Response,
        responses={200: {"content": {"image/png": {}}}, **error_responses(Unauthorized, CaptureUnknown)},
        tags=["operator"],
    )
    def captured_image(request_id: str) -> Response:
        """Gives one captured image, as PNG."""
        image = folder.read_image(request_id)
        if image is None:
            raise CaptureUnknown(f"no image is kept under {request_id[:64]!r}; /captures lists those that are")
        return Response(image, media_type="image/png")


def _captured_image(capture: Capture) -> CapturedImage:
    return CapturedImage(
        request_id=capture.request_id,
        time=capture.time,
        label=capture.label,
        class_index=capture.class_index,
        confidence=capture.confidence,
        trust_probability=capture.trust,
        decision="trust" if capture.trusted else "untrust",
        model=ModelName(name=capture.model, version=capture.version),
        image=f"/captures/{capture.request_id}",
    )
