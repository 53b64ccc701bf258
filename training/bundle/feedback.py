"""Labelled live traffic of one bundle: what its trust head was given, what was answered, and what was right.

Where labels are asked for selectively, each row tells how probable it was to be labelled: its weight, one over that,
makes the rows stand for all traffic (Horvitz and Thompson, 1952).
"""

import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from trust.head import Floats, TrustHead, trust_of_inputs
from trust.manifest import Manifest

MIN_LABELS = 200
MIN_OF_EACH = 10
"""Right and wrong answers without which neither a fit nor a comparison means anything."""


@dataclass(frozen=True)
class Feedback:
    """Answers with their labels, a row each."""

    head_inputs: Floats  # (N, I), in the order of the head's inputs
    novelty: Floats  # (N,), nan where the bundle measures none
    predicted: NDArray[np.int64]  # (N,)
    target: NDArray[np.int64]  # (N,)
    confidence: Floats  # (N,)
    trust: Floats  # (N,), as it was answered
    sampling_probability: Floats  # (N,), in (0, 1]

    def __len__(self) -> int:
        return len(self.target)

    @property
    def correct(self) -> NDArray[np.bool_]:
        return np.asarray(self.predicted == self.target)

    @property
    def weight(self) -> Floats:
        """How many answers of the traffic each row stands for."""
        return 1 / self.sampling_probability

    def trust_of(self, head: TrustHead) -> Floats:
        """What a head says of these answers, (N,)."""
        return trust_of_inputs(head, self.head_inputs, self.novelty)

    def rows(self, index: NDArray[Any]) -> Self:
        return type(self)(**{field.name: getattr(self, field.name)[index] for field in fields(self)})


def read_feedback(path: Path, manifest: Manifest) -> Feedback:
    """The feedback in a file of arrays, checked to be of this bundle.

    Raises:
        ValueError: it is no such file, of another bundle or version, or holds values that cannot be.
    """
    arrays = _read_arrays(path)
    names = [field.name for field in fields(Feedback)]
    if absent := {*names, "model", "version"} - arrays.keys():
        raise ValueError(f"{path} lacks {sorted(absent)}; wanted a file that `trustserve recalibrate` wrote")
    wrote, wanted = (f"{arrays['model']} {arrays['version']}", f"{manifest.name} {manifest.version}")
    if wrote != wanted:
        raise ValueError(f"{path} is feedback on {wrote}, the bundle is {wanted}; give the bundle that answered")
    columns: dict[str, Any] = {name: arrays[name].astype(float) for name in names}
    columns |= {name: arrays[name].astype(np.int64) for name in ("predicted", "target")}
    if len({len(column) for column in columns.values()}) != 1:
        raise ValueError(f"{path} has columns of different lengths; collect the feedback again")
    feedback = Feedback(**columns)
    _check_values(path, feedback, manifest)
    return feedback


def split_feedback(feedback: Feedback, seed: int) -> tuple[Feedback, Feedback]:
    """A half to fit on, and of the other half what is as if labelled by chance alone, to judge and promise on.

    A row of the other half stays with a probability in proportion to its weight. So what stays counts evenly, and exact
    tests hold for it.

    Raises:
        ValueError: too few labels, or too few right or wrong ones among them.
    """
    if len(feedback) < MIN_LABELS:
        raise ValueError(f"{len(feedback)} labels are too few to refit a trust head; at least {MIN_LABELS} are wanted")
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(feedback))
    fit, held = (feedback.rows(half) for half in np.array_split(order, 2))
    judged = held.rows(rng.random(len(held)) < held.weight / held.weight.max())
    for part, use in ((fit, "fit on"), (judged, "judge on")):
        right, wrong = int(part.correct.sum()), int((~part.correct).sum())
        if min(right, wrong) < MIN_OF_EACH:
            raise ValueError(
                f"of {len(feedback)} labels {len(part)} are to {use}, {right} of them of right answers and {wrong} of "
                f"wrong ones; at least {MIN_OF_EACH} of each are wanted: collect more feedback, and where it is "
                f"selective label more of what is rarely asked for"
            )
    return fit, judged


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is not a file of arrays: {error}; collect the feedback again") from error


def _check_values(path: Path, feedback: Feedback, manifest: Manifest) -> None:
    head, classes = manifest.trust_head, len(manifest.classes)
    if feedback.head_inputs.shape[1:] != (len(head.inputs),):
        raise ValueError(f"{path} has inputs {feedback.head_inputs.shape}; the bundle's head takes {len(head.inputs)}")
    probability, read = feedback.sampling_probability, np.column_stack([feedback.head_inputs, feedback.confidence])
    for problem, rows in {
        "inputs that are no numbers": ~np.isfinite(read).all(axis=1),
        "no novelty, which the bundle's head reads": np.isnan(feedback.novelty) & (head.gate is not None),
        f"a class that is none of the {classes}": (feedback.target < 0) | (feedback.target >= classes),
        "a sampling probability outside of (0, 1]": ~((probability > 0) & (probability <= 1)),
    }.items():
        if rows.any():
            raise ValueError(f"{path}: {rows.sum()} of {len(feedback)} rows have {problem}")
    # A few may sit on a step of the map, where float32 inputs decide.
    differs = np.abs(feedback.trust_of(head) - feedback.trust) > manifest.golden_tolerance
    if differs.mean() > 0.01:
        raise ValueError(
            f"{path}: {differs.sum()} of {len(feedback)} rows were answered with another trust than the bundle's head "
            "gives to their inputs; give the bundle that answered"
        )
