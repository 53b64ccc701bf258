"""Bodies of the answers, with examples as the docs show them."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from trust.manifest import Manifest


class ModelName(BaseModel):
    """Which bundle answers."""

    name: str = Field(examples=["fashion-mnist"])
    version: str = Field(examples=["1.0.0"])


class Prediction(BaseModel):
    """The classifier's answer and how far to trust it."""

    request_id: str = Field(examples=["3f0c1d3c5b8e4e0c9b6b0b1b7a1d2e3f"], description="also header X-Request-ID")
    label: str = Field(examples=["Ankle boot"])
    class_index: int = Field(examples=[9])
    confidence: float = Field(ge=0, le=1, examples=[0.987], description="the classifier's own probability")
    trust_probability: float = Field(
        ge=0, le=1, examples=[0.994], description="calibrated probability that the label is right"
    )
    decision: Literal["trust", "untrust"] = Field(description="trust where trust_probability >= threshold")
    threshold: float = Field(ge=0, le=1, examples=[0.9], description="the one this answer was held against")
    model: ModelName
    probabilities: dict[str, float] | None = Field(
        None, examples=[{"T-shirt/top": 0.013, "Ankle boot": 0.987}], description="only with ?probabilities=true"
    )


class Feedback(BaseModel):
    """The label of one answer, by the name or the index of its class."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"request_id": "3f0c1d3c5b8e4e0c9b6b0b1b7a1d2e3f", "label": "Ankle boot"},
                {"request_id": "b45d59ef1ba245c0b7c17a8aa20331ee", "class_index": 9, "sampling_probability": 0.1},
            ]
        },
    )

    request_id: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$", description="the answer's")
    label: str | None = Field(None, description="name of the true class; or class_index")
    class_index: int | None = Field(None, ge=0, description="index of the true class; or label")
    sampling_probability: float = Field(
        1.0,
        ge=1e-6,
        le=1,
        allow_inf_nan=False,
        description="how probable it was that this answer would be labelled; 1 where every answer is",
    )

    @model_validator(mode="after")
    def _one_class(self) -> Self:
        if (self.label is None) == (self.class_index is None):
            raise ValueError("the class is named twice or not at all; send label or class_index")
        return self


class LabelOutcome(BaseModel):
    """What became of one label."""

    request_id: str | None = Field(
        None, examples=["3f0c1d3c5b8e4e0c9b6b0b1b7a1d2e3f"], description="absent where the label is invalid"
    )
    outcome: Literal["accepted", "repeated", "contradicting", "unknown", "invalid", "expired"]
    detail: str | None = Field(None, description="what was wrong, and the way out")


class Problem(BaseModel):
    """An error as RFC 9457 wants it, media type application/problem+json."""

    type: str = Field(description="names the kind of problem, for programs")
    title: str = Field(description="the kind of problem, for people")
    status: int
    detail: str = Field(description="what was wrong this time, and the way out")
    request_id: str


class Reload(BaseModel):
    """Which bundle is to answer."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = Field(
        None, min_length=1, max_length=4096, description="its folder; none: the one that is served, as it is now"
    )


class Shadow(BaseModel):
    """Which bundle is to be tried out beside the one that answers."""

    model_config = ConfigDict(extra="forbid")

    model: str = Field(min_length=1, max_length=4096, examples=["models/fashion-mnist-2"], description="its folder")
    share: float = Field(1.0, ge=0, le=1, description="of the images, those that it sees too")


class ServingReport(BaseModel):
    """What is served now; the other workers of the service follow within seconds."""

    changed: bool = Field(description="whether that is something else than before")
    champion: ModelName
    shadow: ModelName | None
    shadow_share: float | None


class CapturedImage(BaseModel):
    """An image kept for investigation, and what the answer to it was."""

    request_id: str = Field(examples=["3f0c1d3c5b8e4e0c9b6b0b1b7a1d2e3f"])
    time: str = Field(examples=["2026-01-31T12:00:00.000+00:00"], description="when it was answered")
    label: str = Field(examples=["Ankle boot"])
    class_index: int = Field(examples=[9])
    confidence: float
    trust_probability: float
    decision: Literal["trust", "untrust"]
    model: ModelName
    image: str = Field(examples=["/captures/3f0c1d3c5b8e4e0c9b6b0b1b7a1d2e3f"], description="where the PNG is")


class CaptureList(BaseModel):
    """The newest captured images, newest first."""

    total: int = Field(description="captured images; the list has at most 1000 of them")
    captures: list[CapturedImage]


class Health(BaseModel):
    """The process lives."""

    status: Literal["alive"] = "alive"


class Ready(BaseModel):
    """The bundle is open and its golden batch was replayed."""

    status: Literal["ready"] = "ready"
    model: ModelName


class ModelReport(BaseModel):
    """The bundle that answers and how it runs here."""

    providers: dict[str, str] = Field(
        examples=[{"classifier": "CPUExecutionProvider", "oracle": "CPUExecutionProvider"}],
        description="onnxruntime execution provider of each network",
    )
    execution: str = Field(
        examples=[
            "classifier and oracle run one after the other with 1 CPU thread each in batches of up to 32: the fastest "
            "of 3 ways, timed in 0.09 s"
        ],
        description="how both networks run, and why",
    )
    threshold: float = Field(
        description="trust from which on an answer is trusted here; the manifest may have one for each class"
    )
    shadow: ModelName | None = Field(description="the bundle that sees the same images and answers nobody")
    manifest: Manifest


class Welcome(BaseModel):
    """What this is and where to go."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "trustserve",
                    "version": "0.1.0",
                    "description": "Classifies an image and says how probable it is that the answer is right.",
                    "links": {"predict": "/predict", "docs": "/docs"},
                }
            ]
        }
    )

    name: str = "trustserve"
    version: str
    description: str
    links: dict[str, str]
