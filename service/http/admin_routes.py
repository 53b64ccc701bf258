"""Routes under /admin: another bundle to answer, one in the shadow, and the shadow's promotion, while requests come."""

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from service.errors import BundleRefused, NoShadow, NotReady, RequestInvalid, Unauthorized
from service.http.admin import RequireAdmin
from service.http.documentation import error_responses
from service.inference.engine import Engine
from service.schemas import Reload, ServingReport, Shadow
from service.settings import SettingsError
from trust.manifest import BundleError

Body = TypeVar("Body", bound=BaseModel)

_logger = logging.getLogger("trustserve")


def add_admin(app: FastAPI, engine: Engine, require: RequireAdmin) -> None:
    """Gives an app the routes; who calls them must be an admin."""
    admin = APIRouter(prefix="/admin", dependencies=[Depends(require)], tags=["admin"])

    async def serve(**changes: object) -> ServingReport:
        serving = engine.serving.model_copy(update=changes)
        try:
            changed = await engine.serve(serving)
        except (BundleError, SettingsError) as error:
            raise BundleRefused(f"{error}; what was served before goes on") from error
        report = _report(engine, changed)
        _logger.warning("told to serve %s: %s", serving, "done" if changed else "nothing is new")
        return report

    @admin.post(
        "/reload",
        responses=error_responses(Unauthorized, RequestInvalid, BundleRefused, NotReady),
        openapi_extra=_described(Reload, required=False),
    )
    async def reload(wanted: Annotated[Reload, Depends(_body_of(Reload))]) -> ServingReport:
        """Opens a bundle beside the one that answers, proves it, and lets it take over; requests go on all the time.

        Without a body: whatever now lies in the folder that is served. A bundle that cannot be opened changes nothing.
        It holds until the service ends; for good, set TRUSTSERVE_MODEL too.
        """
        if wanted.model is None:
            return await serve()
        return await serve(model=Path(wanted.model))

    @admin.post(
        "/shadow",
        responses=error_responses(Unauthorized, RequestInvalid, BundleRefused, NotReady),
        openapi_extra=_described(Shadow, required=True),
    )
    async def shadow(wanted: Annotated[Shadow, Depends(_body_of(Shadow))]) -> ServingReport:
        """Lets another bundle see the same images; it answers nobody, and counts under its own version."""
        return await serve(shadow=Path(wanted.model), shadow_share=wanted.share)

    @admin.delete("/shadow", responses=error_responses(Unauthorized, NotReady))
    async def end_shadow() -> ServingReport:
        """Ends the shadow, if there is one."""
        return await serve(shadow=None)

    @admin.post("/promote", responses=error_responses(Unauthorized, NoShadow, BundleRefused, NotReady))
    async def promote() -> ServingReport:
        """Lets the shadow answer from now on."""
        if engine.shadow is None:
            raise NoShadow("there is no shadow to promote; POST /admin/shadow opens one")
        return await serve(model=engine.shadow.bundle.path, shadow=None)

    app.include_router(admin)


def _body_of(kind: type[Body]) -> Callable[[Request], Awaitable[Body]]:
    """A dependency that reads the body; an empty one says nothing.

    The framework would read and parse it before it looks at the token: a stranger's, of any size.
    """

    async def read(request: Request) -> Body:
        try:
            return kind.model_validate_json(await request.body() or b"{}")
        except ValidationError as error:
            found = [{**each, "loc": ("body", *each["loc"])} for each in error.errors()]
            raise RequestValidationError(found) from None

    return read


def _described(kind: type[BaseModel], required: bool) -> dict[str, Any]:
    content = {"application/json": {"schema": kind.model_json_schema()}}
    return {"requestBody": {"required": required, "content": content}}


def _report(engine: Engine, changed: bool) -> ServingReport:
    shadow, serving = engine.shadow, engine.serving
    return ServingReport(
        changed=changed,
        champion=engine.lane.model,
        shadow=None if shadow is None else shadow.model,
        shadow_share=None if shadow is None else serving.shadow_share,
    )
