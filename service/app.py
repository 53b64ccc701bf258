"""The HTTP service: create_app makes it from settings; a request to /predict reads top to bottom."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from service.answer import Answer
from service.captures.folder import CaptureFolder
from service.captures.reservoir import Captures, Limits
from service.captures.routes import add_captures
from service.documentation import PREDICT_ERRORS, PREDICT_REQUEST, error_responses
from service.engine import Engine, OnFailure, OnReady
from service.errors import NotReady, ParameterInvalid
from service.landing import landing_page
from service.monitor.metrics import Metrics
from service.monitor.pool import Pool, leave
from service.monitor_routes import add_monitor
from service.problems import add_problem_handlers
from service.request_id import RequestId
from service.schemas import Health, ModelName, ModelReport, Prediction, Ready, Welcome
from service.settings import Settings
from service.upload import read_image

DESCRIPTION = "Classifies an image and says how probable it is that this very answer is right."
LINKS = {
    "predict": "/predict",
    "docs": "/docs",
    "model": "/model",
    "metrics": "/metrics",
    "feedback": "/feedback",
    "monitor": "/monitor",
    "alive": "/healthz",
    "ready": "/readyz",
}
_FLAGS = {"true": True, "1": True, "": True, "false": False, "0": False}


def create_app(
    settings: Settings,
    on_ready: OnReady | None = None,
    on_failure: OnFailure | None = None,
    pool: Pool | None = None,
) -> FastAPI:
    """The service as an ASGI app; its lifespan opens the bundle in the background.

    Args:
        settings: every choice the operator has.
        on_ready: called with the bundle once it answers.
        on_failure: called with the error if the bundle cannot be opened; /readyz says it too.
        pool: this worker's place where there are several, already joined.
    """
    metrics = Metrics(settings.class_series_limit, settings.max_queue, pool)
    engine = Engine(settings, metrics)
    folder = CaptureFolder(settings.state / "captures")
    captures = Captures(folder, _capture_limits(settings), metrics)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with captures.running():
            async with engine.running(on_ready, on_failure):
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
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
    )
    app.add_middleware(RequestId)
    add_problem_handlers(app)
    _add_predict(app, settings, engine, metrics, captures)
    add_monitor(app, settings, engine)
    _add_pages(app, engine, metrics)
    if settings.admin_token is not None:
        add_captures(app, folder, settings.admin_token)
    return app


def _capture_limits(settings: Settings) -> Limits:
    seconds, size = settings.captures_hours * 3600, settings.captures_mib * 2**20
    return Limits(settings.captures, seconds, size, settings.max_image_pixels)


def _add_predict(app: FastAPI, settings: Settings, engine: Engine, metrics: Metrics, captures: Captures) -> None:
    @app.post(
        "/predict",
        response_model=Prediction,
        response_model_exclude_none=True,
        responses=error_responses(*PREDICT_ERRORS),
        openapi_extra=PREDICT_REQUEST,
        tags=["predict"],
    )
    async def predict(request: Request) -> Response:
        """Classifies one image and says whether to trust the answer.

        `curl -F image=@photo.jpg http://127.0.0.1:8000/predict`, or the bytes themselves:
        `curl --data-binary @photo.jpg -H 'Content-Type: image/jpeg' http://127.0.0.1:8000/predict`.
        """
        with metrics.request():
            model = _model_name(engine)
            with_probabilities = _wants_probabilities(request)
            data = await read_image(request, settings.max_image_bytes)
            answer = await engine.answer(data)
            engine.live.observe([request.state.request_id], [answer])
            captures.offer(request.state.request_id, answer, engine.bundle.manifest, data)
            prediction = _prediction(request, answer, engine, model, with_probabilities)
            return Response(prediction.model_dump_json(exclude_none=True), media_type="application/json")


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
        return Ready(model=_model_name(engine))

    @app.get("/model", response_model=ModelReport, responses=error_responses(NotReady), tags=["service"])
    async def model() -> Response:
        """Shows the bundle's manifest, the threshold in force and where each network runs."""
        bundle = engine.bundle
        report = ModelReport(
            manifest=bundle.manifest, threshold=engine.threshold.value, providers=bundle.sessions.providers
        )
        return Response(report.model_dump_json(), media_type="application/json")

    @app.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}}, tags=["service"])
    def scrape(request: Request) -> Response:
        """Metrics for Prometheus."""
        engine.fold()
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(metrics.shown), headers={"Content-Type": content_type})


def _wants_probabilities(request: Request) -> bool:
    value = request.query_params.get("probabilities", "false")
    if value.lower() not in _FLAGS:
        raise ParameterInvalid(f"probabilities is {value[:64]!r}; wanted true or false")
    return _FLAGS[value.lower()]


def _prediction(
    request: Request, answer: Answer, engine: Engine, model: ModelName, with_probabilities: bool
) -> Prediction:
    classes = engine.bundle.manifest.classes
    return Prediction(
        request_id=request.state.request_id,
        label=classes[answer.class_index],
        class_index=answer.class_index,
        confidence=answer.confidence,
        trust_probability=answer.trust,
        decision="trust" if answer.trusted else "untrust",
        threshold=answer.threshold,
        model=model,
        probabilities=dict(zip(classes, answer.probabilities.tolist(), strict=True)) if with_probabilities else None,
    )


def _model_name(engine: Engine) -> ModelName:
    manifest = engine.bundle.manifest
    return ModelName(name=manifest.name, version=manifest.version)
