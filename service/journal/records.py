"""What the journal takes and gives: answers, labels that come later, and both joined."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


# A tuple: one is made for every answer, in bulk, and a database's driver takes it as it is.
class AnswerRecord(NamedTuple):
    """What is kept of one answer until its label comes; the fields are the columns of the table of answers."""

    request_id: str
    answered_at: float
    """Seconds since the epoch."""
    model: str
    version: str
    class_index: int
    """The predicted class."""
    confidence: float
    trust: float
    threshold: float
    trusted: bool
    question_answer_estimate: float
    """Question-answer trust with the trust probability in place of the label."""
    head_inputs: bytes
    """The trust head's inputs in the order of the manifest, little-endian float32."""
    novelty: float | None = None
    """None where the bundle measures none; refitting a head with a novelty gate needs it."""


@dataclass(frozen=True, slots=True)
class Label:
    """What a person says of one answer's image."""

    request_id: str
    class_index: int
    """The true class."""
    sampling_probability: float = 1.0
    """How probable it was that this answer would be labelled, in (0, 1]."""


class Outcome(StrEnum):
    """What became of a label."""

    accepted = "accepted"
    """The first of its answer: it is kept and counts."""
    repeated = "repeated"
    """Names the same class as the one that is kept."""
    contradicting = "contradicting"
    """Names another class than the one that is kept; that one stays."""
    unknown = "unknown"
    """No answer has this request id, or none that this journal still remembers."""
    expired = "expired"
    """The answer is past the retention."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A label, what became of it, and the answer it is about."""

    label: Label
    outcome: Outcome
    answer: AnswerRecord | None
    """None where the outcome is unknown or expired."""
    received_at: float
    """When this label came, seconds since the epoch."""
    kept: Label | None = None
    """The label that is kept of this answer: this one where accepted, the first one where repeated or contradicting."""


@dataclass(frozen=True, slots=True)
class LabelledColumns:
    """Answers with their labels, a row each, in the order of their time."""

    answered_at: Floats  # (N,) seconds since the epoch
    received_at: Floats  # (N,) when the label came
    target: NDArray[np.int64]  # (N,) the label's class
    predicted: NDArray[np.int64]  # (N,)
    confidence: Floats  # (N,)
    trust: Floats  # (N,)
    threshold: Floats  # (N,)
    trusted: NDArray[np.bool_]  # (N,)
    question_answer_estimate: Floats  # (N,)
    novelty: Floats  # (N,) nan where the bundle measures none
    sampling_probability: Floats  # (N,)
    head_inputs: NDArray[np.float32]  # (N, I)
    complete: bool
    """False where there were more rows than asked for: these are the newest."""


class DropReason(StrEnum):
    """Why an answer is not in the journal."""

    buffer_full = "buffer_full"
    """Answers come faster than the database takes them."""
    database_away = "database_away"
    """The buffer is full, as the database cannot be reached or used."""
    disk_full = "disk_full"
    """The buffer is full, as the database has no room left."""
    locked = "locked"
    """The buffer is full, as somebody else holds a lock on the database."""
    duplicate = "duplicate"
    """Its request id was used before; the first answer stays."""
    refused = "refused"
    """The database takes every row but this one."""
    closed = "closed"
    """The journal is closing."""


@dataclass(frozen=True, slots=True)
class JournalCounts:
    """What the journal has done since it was opened, by this process alone."""

    written: int
    dropped: dict[DropReason, int]
    buffered: int
    """Answers that wait to be written."""
    up: bool
    """Whether the database was there when the writer last tried, about a second ago."""


class JournalAway(Exception):
    """The database cannot be asked now; the message says why. Try again later."""
