"""Settings of the service: the TRUSTSERVE_* environment, read once and passed down as arguments."""

import difflib
import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "TRUSTSERVE_"


class SettingsError(Exception):
    """A setting that does not exist or has no usable value."""


class Settings(BaseSettings):
    """Everything an operator may choose; each field is TRUSTSERVE_<FIELD> and `trustserve serve --<field>`."""

    model_config = SettingsConfigDict(frozen=True, env_prefix=PREFIX, env_ignore_empty=True, extra="forbid")

    model: Path = Field(Path("models/fashion-mnist"), description="folder of the bundle to serve")
    shadow: Path | None = Field(
        None, description="folder of a bundle that sees the same images and answers nobody, to be judged beside it"
    )
    shadow_share: float = Field(1.0, ge=0, le=1, description="share of the images that the shadow sees")
    host: str = Field("127.0.0.1", description="address to listen on; 0.0.0.0 for every interface")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 picks a free one")
    workers: int = Field(1, ge=1, description="processes that answer; each opens the bundle and has a queue of its own")
    device: Literal["auto", "cpu", "cuda", "tensorrt"] = Field(
        "auto", description="where the networks run; auto takes CUDA where it really works"
    )
    session_threads: int | None = Field(
        None, ge=1, description="CPU threads of each of the two networks; unset: what is fastest here, timed at start"
    )
    networks: Literal["auto", "parallel", "in_turn"] = Field(
        "auto",
        description="whether both networks run at the same time or one after the other; auto: what is faster here, "
        "timed at start",
    )
    tensorrt_fp16: bool = Field(False, description="let TensorRT compute in 16 bits")
    max_batch: int = Field(
        32,
        ge=1,
        description="most images in one batch; fewer where more gain nothing (GPU) or take over a quarter of a second "
        "(CPU)",
    )
    batch_wait_seconds: float = Field(
        0.0, ge=0, le=10, description="how long a batch waits for company; 0: only while the one before it runs"
    )
    max_queue: int = Field(256, ge=1, description="most images that wait for their answer; then 503")
    max_queue_bytes: int = Field(
        256 * 2**20, ge=1, description="most bytes of images that are being received or wait; then 503"
    )
    deadline_seconds: float = Field(
        10.0, gt=0, description="how long an image waits for its answer; then 504; X-Request-Timeout may ask for less"
    )
    upload_seconds: float = Field(30.0, gt=0, description="how long an image may take to come; then 408")
    keep_alive_seconds: float = Field(
        75.0,
        gt=0,
        description="how long a connection stays open with no request: longer than in the proxy in front, mostly 60",
    )
    hang_seconds: float = Field(
        30.0, gt=0, description="how long a batch may run before the service says that it is not ready"
    )
    drain_seconds: float = Field(
        1.0, ge=0, description="how long after SIGTERM it still takes requests, no longer ready: load balancers look"
    )
    max_image_bytes: int = Field(10_000_000, ge=1, description="largest image file, in bytes; then 413")
    max_image_pixels: int = Field(50_000_000, ge=1, description="largest image, width x height; then 413")
    decode_threads: int | None = Field(
        None, ge=1, description="threads that decode images; unset: one a core, at most four"
    )
    threshold: float | None = Field(
        None, ge=0, le=1, description="trust from which on an answer is trusted; unset: the bundle's threshold"
    )
    reward: float = Field(1.0, gt=0, description="exponent of the confidence of right answers in question-answer trust")
    penalty: float = Field(1.0, gt=0, description="exponent of the doubt of wrong answers in question-answer trust")
    state: Path = Field(Path("state"), description="folder of what outlives a restart; its files are made when needed")
    journal: str | None = Field(
        None,
        pattern=r"^(off|sqlite:///.+|postgresql://.+)$",
        description="where answers wait for labels: sqlite:///FILE, postgresql://USER:PASSWORD@HOST/NAME, or off; "
        "unset: journal.sqlite in the state folder",
    )
    journal_days: int = Field(30, ge=1, description="days after which an answer leaves the journal")
    journal_rows: int = Field(1_000_000, ge=1, description="most answers in the journal; the oldest leave first")
    journal_buffer: int = Field(
        10_000, ge=1, description="most answers that wait to be written to the journal; beyond, they are not kept"
    )
    monitor_minimum: int = Field(
        100, ge=2, description="fewest answers, or labels, from which /monitor gives a figure; below: insufficient data"
    )
    tolerated_drop: float = Field(
        0.02, ge=0, lt=1, description="how far mean trust and trust rate may fall below the reference without an alarm"
    )
    alarm_run_length: int = Field(
        100_000, ge=100, le=10**12, description="answers between two false alarms of one kind, on average, at least"
    )
    max_feedback_bytes: int = Field(1_000_000, ge=1, description="largest body of POST /feedback, in bytes; then 413")
    max_feedback_items: int = Field(1000, ge=1, description="most labels in one POST /feedback; then 413")
    class_series_limit: int = Field(
        1000, ge=0, description="most classes with metrics of their own; the rest counts as (other)"
    )
    captures: int = Field(
        0, ge=0, le=1000, description="images kept for investigation, for each class and decision; 0: none"
    )
    captures_hours: float = Field(72.0, gt=0, description="how long a captured image is kept")
    captures_mib: int = Field(256, ge=1, description="most mebibytes of captured images")
    admin_token: SecretStr | None = Field(
        None,
        min_length=16,
        description="opens `/admin` and `/captures` to who sends it as Bearer; unset: there are no such routes",
    )
    admin_token_sha256: str | None = Field(
        None,
        pattern="^[0-9a-f]{64}$",
        description="the same by the token's SHA-256, in hex: the token itself need not be where the service runs",
    )
    cors_origins: str | None = Field(
        None,
        pattern=r"^(\*|https?://[^\s,/]+(,https?://[^\s,/]+)*)$",
        description="origins whose pages may call the service, with commas between them; *: any; unset: none",
    )
    access_log: bool = Field(False, description="log a line for every request")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least severity that is logged")
    log_format: Literal["auto", "text", "json"] = Field(
        "auto", description="how events are logged, one a line; auto: text on a terminal, JSON elsewhere"
    )

    @property
    def journal_url(self) -> str | None:
        """The journal's database; None: there is to be no journal."""
        if self.journal == "off":
            return None
        return self.journal or f"sqlite:///{self.state / 'journal.sqlite'}"


_SECRETS = {"admin_token", "admin_token_sha256", "journal"}  # a database URL may hold a password


def load_settings(**flags: Any) -> Settings:
    """Settings from the environment, each overridden by the flag of its name where one is given.

    Raises:
        SettingsError: an unknown TRUSTSERVE_* variable, or a value that does not validate.
    """
    _reject_unknown_variables()
    try:
        return Settings(**flags)
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0])
        source = "--" + field.replace("_", "-") if field in flags else PREFIX + field.upper()
        wanted = Settings.model_fields[field].description
        value = "not shown" if field in _SECRETS else repr(first["input"])
        raise SettingsError(f"{source} is {value}; {_lower_first(first['msg'])} ({wanted})") from None


def _reject_unknown_variables() -> None:
    known = [PREFIX + field.upper() for field in Settings.model_fields]
    for variable in sorted(os.environ):
        if variable.upper().startswith(PREFIX) and variable.upper() not in known:
            similar = difflib.get_close_matches(variable.upper(), known, n=1)
            hint = f"did you mean {similar[0]}?" if similar else f"known are {', '.join(known)}"
            # Without its value: it may be a token under a mistyped name.
            raise SettingsError(f"{variable} is not a setting of trustserve; {hint}")


def _lower_first(message: str) -> str:
    return message[:1].lower() + message[1:]
