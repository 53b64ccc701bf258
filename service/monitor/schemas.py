"""Body of GET /monitor. A figure that rests on too few answers has no number at all."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from service.schemas import ModelName
from trust.manifest import ReferenceSummary

State = Literal["ok", "insufficient data"]


class Figure(BaseModel):
    """A statistic with its 95 % interval."""

    state: State = Field(description="ok, or insufficient data: then there is no value")
    answers: int = Field(description="on how many it rests")
    value: float | None = None
    low: float | None = Field(None, description="lower end of the 95 % interval")
    high: float | None = Field(None, description="upper end")


class Density(BaseModel):
    """Density of question-answer trust over 20 equal bins of [0, 1]; its mean is 1."""

    state: State
    answers: int
    bins: list[float] | None = None


class Distance(BaseModel):
    """How far the window is from the reference."""

    value: float
    threshold: float | None = Field(None, description="exceeded by chance in one window of a hundred; none: unknown")
    exceeded: bool | None = Field(None, description="none where no threshold is known")


class Drift(BaseModel):
    """Distances by score (trust, confidence, predicted, novelty, image_novelty) and statistic."""

    state: State
    answers: int
    scores: dict[str, dict[str, Distance]] | None = None


class Span(BaseModel):
    """The window that was asked for, and what of it was counted: buckets end on whole seconds."""

    window: str = Field(examples=["1h"])
    since: datetime
    until: datetime


class Traffic(BaseModel):
    """What the answers say by themselves, no label behind it."""

    mean_trust: Figure
    accuracy_estimate: Figure = Field(description="expected share of right answers: the mean trust")
    net_trust_score_estimate: Figure = Field(description="mean expected question-answer trust")
    trust_rate: Figure = Field(description="share of answers that are trusted: coverage")
    risk_estimate: Figure = Field(description="expected share of wrong ones among trusted answers")
    confidence_trusted: Figure = Field(description="mean confidence of trusted answers")
    confidence_untrusted: Figure = Field(description="mean confidence of untrusted answers")
    density_estimate: Density = Field(description="of expected question-answer trust")


class Promise(BaseModel):
    """The threshold's promise, held against the labels."""

    state: Literal["kept", "broken", "insufficient data", "nothing promised"] = Field(
        description="broken: the whole 95 % interval of the risk lies above the promise"
    )
    risk: float | None = Field(None, description="promised bound on the share of wrong ones among trusted answers")


class Labels(BaseModel):
    """What labels have shown so far of the window's answers.

    Each label counts for 1 / sampling_probability answers, in all but coverage and lag.
    """

    state: Literal["ok", "journal off", "journal away"]
    labelled: int = Field(0, description="answers with a label")
    complete: bool = Field(True, description="false where there were more than were read: the newest were")
    coverage: Figure | None = Field(None, description="share of answers that have a label")
    lag_seconds: Figure | None = Field(None, description="from answer to label, mean")
    accuracy: Figure | None = None
    net_trust_score: Figure | None = Field(None, description="mean realised question-answer trust")
    net_trust_score_prediction_powered: Figure | None = Field(
        None, description="of all answers, labelled or not: the label-free estimate put right by the labels"
    )
    confidence_right: Figure | None = Field(None, description="mean confidence of right answers")
    confidence_wrong: Figure | None = Field(None, description="mean confidence of wrong answers")
    risk: Figure | None = Field(None, description="share of wrong ones among trusted answers")
    promise: Promise | None = None
    calibration_gap: Figure | None = Field(None, description="mean of correct - trust; below 0: trusted too much")


class PredictedClass(BaseModel):
    """The answers that name one class, no label behind it."""

    label: str
    answers: int
    trust_rate: Figure
    net_trust_score_estimate: Figure
    density_estimate: Density


class TargetClass(BaseModel):
    """The labelled answers whose true class it is."""

    label: str
    accuracy: Figure
    net_trust_score: Figure


class Contribution(BaseModel):
    """What one predicted class adds to the change of the NetTrustScore estimate since the reference."""

    label: str
    mix: float = Field(description="by being answered more or less often")
    mix_significant: bool = Field(description="Benjamini-Hochberg, 5 % of those false")
    within: float = Field(description="by answers of other trust")
    within_significant: bool


class Change(BaseModel):
    """Change of the NetTrustScore estimate since the reference, by predicted class; their sum is the change."""

    state: State
    answers: int
    value: float | None = None
    classes: list[Contribution] | None = None


class Where(BaseModel):
    """In which classes trust breaks down."""

    by_predicted: list[PredictedClass] = Field(description="spectrum by predicted class")
    by_target: list[TargetClass] = Field(description="spectrum by true class, of labelled answers")
    change: Change


class Alarm(BaseModel):
    """One alarm, as that worker has it where it stands worst."""

    active: bool
    level: float = Field(description="log10 of the e-statistic; while active, as it was when the alarm was raised")
    threshold: float = Field(description="level at which it is raised")
    raised_at: datetime | None = Field(None, description="last time")
    watches: str = Field(description="the mean of what, against what")
    least_mean: float = Field(description="the least that is as promised")


class MonitorReport(BaseModel):
    """How far the model can be trusted, in one window, all workers together."""

    model: ModelName
    window: Span
    minimum: int = Field(description="fewest answers, or labels, from which there is a figure")
    answers: int
    traffic: Traffic
    labels: Labels
    where: Where
    drift: Drift
    alarms: dict[str, Alarm]
    reference: ReferenceSummary
