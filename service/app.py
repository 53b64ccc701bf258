"""The HTTP service: create_app makes it from settings; what happens to a request to /predict stands in predict.py."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp

from service.captures.folder import CaptureFolder
from service.captures.reservoir import Captures, Limits
from service.captures.routes import add_captures
from service.errors import NotReady
from service.http.access_log import AccessLog
from service.http.admin import require_admin
from service.http.admin_routes import add_admin
from service.http.documentation import PREDICT_ERRORS, PREDICT_REQUEST, error_responses
from service.http.headers import SecurityHeaders, with_cors
from service.http.landing import landing_page
from service.http.monitor_routes import add_monitor
from service.http.predict import PATH, Predict, PredictFirst
from service.http.problems import add_problem_handlers
from service.http.request_id import RequestId
from service.http.signals import end_at_once, in_two_steps, on_hangup
from service.inference.engine import Engine, OnFailure, OnReady
from service.monitor.metrics import Metrics
from service.monitor.pool import Pool, leave
from service.schemas import Health, ModelReport, Prediction, Ready, Welcome
from service.settings import Settings

LOOK_SECONDS = 0.05
"""Between two looks whether it is time to listen."""
DESCRIPTION = "Classifies an image and says how probable it is that this very answer is right."
LINKS = {
    "predict": PATH,
    "docs": "/docs",
    "model": "/model",
    "metrics": "/metrics",
    "feedback": "/feedback",
    "monitor": "/monitor",
    "alive": "/healthz",
    "ready": "/readyz",
}


def create_app(
    settings: Settings,
    on_ready: OnReady | None = None,
    on_failure: OnFailure | None = None,
    pool: Pool | None = None,
    any_answers: Callable[[], bool] = lambda: False,
) -> ASGIApp:
    """The service as an ASGI app; its lifespan opens the bundle in the background.

    Who serves it listens from the start, so that /healthz and /readyz tell of a long opening; or, where others on the
    same socket answer, once the bundle is open: what they would answer must not be turned away here.

    Args:
        settings: every choice the operator has.
        on_ready: called with the bundle once it answers.
        on_failure: called with the error if the bundle cannot be opened; /readyz says it too.
        pool: this worker's place where there are several, already joined.
        any_answers: whether another worker answers on the same socket.
    """
    metrics = Metrics(settings.class_series_limit, settings.max_queue, pool)
    engine = Engine(settings, metrics, None if pool is None else pool.folder)
    folder = CaptureFolder(settings.state / "captures")
    captures = Captures(folder, _capture_limits(settings), metrics)

    def end_soon() -> None:
        # Nobody waits for an answer, and a bundle that is being opened cannot be told to stop.
        if not engine.is_open:
            end_at_once()
        engine.stop_soon()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with captures.running():
            async with engine.running(on_ready, on_failure):
                with in_two_steps(end_soon, settings.drain_seconds), on_hangup(engine.serve_anew):
                    while any_answers() and not engine.is_open:
                        await asyncio.sleep(LOOK_SECONDS)
                    yield
        if pool is not None:
            leave(pool)

    # Swagger's script from this process, not from a CDN: docs that draw where there is no internet.
    app = FastAPIOffline(
        title="trustserve",
        version=version("trustserve"),
        description=DESCRIPTION,
        lifespan=lifespan,
        redirect_slashes=False,
        # Traces, where OpenTelemetry is set up; metrics are Prometheus's, logs go to stderr.
        telemetry={"metrics": False, "logs": False},
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
    )
    app.add_middleware(RequestId)
    app.add_middleware(SecurityHeaders)
    add_problem_handlers(app)
    _describe_predict(app)
    add_monitor(app, settings, engine)
    _add_pages(app, engine, metrics)
    admin = require_admin(settings)
    if admin is not None:
        add_captures(app, folder, admin)
        add_admin(app, engine, admin)
    return _in_front(app, Predict(engine, engine.admission, metrics, captures, settings), settings)


def _in_front(app: ASGIApp, predict: ASGIApp, settings: Settings) -> ASGIApp:
    """Before the framework's app: what has to be fast, and what concerns it as well."""
    app = PredictFirst(app, predict)
    if settings.cors_origins is not None:
        app = with_cors(app, settings.cors_origins.split(","))
    return AccessLog(app) if settings.access_log else app


def _capture_limits(settings: Settings) -> Limits:
    seconds, size = settings.captures_hours * 3600, settings.captures_mib * 2**20
    return Limits(settings.captures, seconds, size, settings.max_image_pixels)


def _describe_predict(app: FastAPI) -> None:
    @app.post(
        PATH,
        response_model=Prediction,
        response_model_exclude_none=True,
        responses=error_responses(*PREDICT_ERRORS),
        openapi_extra=PREDICT_REQUEST,
        tags=["predict"],
    )
    async def predict() -> None:
        """Classifies one image and says whether to trust the answer.

        `curl -F image=@photo.jpg http://127.0.0.1:8000/predict`, or the bytes themselves:
        `curl --data-binary @photo.jpg -H 'Content-Type: image/jpeg' http://127.0.0.1:8000/predict`.
        """
        raise AssertionError("PredictFirst answers before any route is looked for")


def _add_pages(app: FastAPI, engine: Engine, metrics: Metrics) -> None:
    @app.get("/", response_model=Welcome, responses={200: {"content": {"text/html": {}}}}, tags=["service"])
    async def welcome(request: Request) -> Response:
        """Says what this is and where to go; as a page where a browser asks."""
        body = Welcome(version=app.version, description=DESCRIPTION, links=LINKS)
        if "text/html" in request.headers.get("accept", ""):
            return HTMLResponse(landing_page(body, str(request.base_url)), headers={"Vary": "Accept"})
        return Response(body.model_dump_json(), media_type="application/json", headers={"Vary": "Accept"})

    @app.get("/healthz", tags=["service"])
    async def alive() -> Health:
        """Answers while the process lives."""
        return Health()

    @app.get("/readyz", responses=error_responses(NotReady), tags=["service"])
    async def ready() -> Ready:
        """Answers 200 once the bundle is open and its golden batch replayed, until then 503 with the reason."""
        return Ready(model=engine.ready().model)

    @app.get("/model", response_model=ModelReport, responses=error_responses(NotReady), tags=["service"])
    async def model() -> Response:
        """Shows the bundle's manifest, the threshold in force, and where and how the networks run."""
        lane = engine.lane
        report = ModelReport(
            manifest=lane.bundle.manifest,
            threshold=lane.threshold.value,
            providers=lane.bundle.sessions.providers,
            execution=lane.bundle.sessions.statement,
            shadow=None if engine.shadow is None else engine.shadow.model,
        )
        return Response(report.model_dump_json(), media_type="application/json")

    @app.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}}, tags=["service"])
    def scrape(request: Request) -> Response:
        """Metrics for Prometheus."""
        engine.refresh()
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(metrics.shown), headers={"Content-Type": content_type})
