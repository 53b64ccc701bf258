"""Fits a shared-backbone oracle from what the classifier said, computed once: in seconds, without running it again.

Ten losses on the same images are ten fits of small heads on arrays, which may be memory-mapped.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from training.fit.loop import fit
from training.fit.record import Record
from training.oracle.loss_table import LossOptions, oracle_loss, verdict_weights
from training.oracle.recipes import OracleRecipe
from training.oracle.shared import SharedOracle
from training.oracle.verdicts import VerdictCounts, judge

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.integer[Any]]

_CHUNK = 10_000
"""Rows read at a time where an array may be larger than memory."""


@dataclass(frozen=True)
class CachedAnswers:
    """What a classifier said of N images; the arrays may be memory-mapped."""

    features: Floats
    """(N, D)."""
    logits: Floats
    """(N, K); whose answers give the verdicts: the classifier's own, or those of the fold that left the image out."""
    targets: Integers
    """(N,)."""

    def __post_init__(self) -> None:
        if not len(self.features) == len(self.logits) == len(self.targets):
            raise ValueError(
                f"{len(self.features)} features, {len(self.logits)} logits and {len(self.targets)} targets; "
                "wanted one of each for every image"
            )


def fit_shared_oracle(
    features: Floats,
    logits: Floats,
    targets: Integers,
    recipe: OracleRecipe,
    seed: int,
    *,
    corrupted: CachedAnswers | None = None,
    batch_size: int = 512,
    device: torch.device | None = None,
    title: str = "shared oracle",
    record: Record | None = None,
) -> SharedOracle:
    """Heads fitted on features computed before, in evaluation mode on the device.

    The verdicts are those of `logits`; which images they are about decides the labels: images the classifier never
    saw (held-out), its training images, or training images answered by the fold that left them out (cross-fit).

    Args:
        features, logits, targets: (N, D), (N, K), (N,) as in `CachedAnswers`.
        recipe: heads, loss, epochs, optimiser; it has no say in images or labels here.
        seed: of initialisation and order.
        corrupted: the same of corrupted copies, learned from beside them; each row counts once.
        batch_size: rows a step.
        device: the CPU where not given.
        title: what the progress bar says.
        record: where to leave log and checkpoints.

    Raises:
        ValueError: arrays that do not belong together, or verdicts of one kind only.
    """
    parts = [CachedAnswers(features, logits, targets), *([] if corrupted is None else [corrupted])]
    if len({part.features.shape[1] for part in parts}) > 1:
        raise ValueError(f"features {features.shape} and their corrupted copies {parts[1].features.shape} differ in D")
    device = device or torch.device("cpu")
    counts = sum((_count(part) for part in parts), VerdictCounts(0, 0))
    counts.require_both()
    options = LossOptions(
        recipe.slope_correct, recipe.slope_incorrect, verdict_weights(recipe.loss, counts), recipe.paper_compat
    )
    torch.manual_seed(seed)
    oracle = SharedOracle(features.shape[1], logits.shape[1], recipe)
    _standardise(oracle, features)
    oracle.to(device)
    starts = np.cumsum([0, *(len(part.targets) for part in parts)])

    def loss_of(model: nn.Module, batch: NDArray[np.int64], _: int) -> Tensor:
        feature, logit, target = (torch.from_numpy(rows).to(device) for rows in _rows(parts, starts, batch))
        outputs = model(feature)
        loss = oracle_loss(recipe.loss, outputs["oracle_logit"], judge(logit, target), options)
        if "oracle_class_logits" in outputs:
            loss = loss + F.cross_entropy(outputs["oracle_class_logits"], target)
        return loss

    fit(oracle, loss_of, np.arange(starts[-1]), recipe.plan(batch_size), seed=seed, title=title, record=record)
    return oracle


def _rows(
    parts: list[CachedAnswers], starts: NDArray[np.int64], batch: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """Features, logits and targets at positions that count through all parts."""
    # Ascending: the order within a batch is of no account, and a disk is read forwards.
    batch = np.sort(batch)
    columns = []
    for number, part in enumerate(parts):
        rows = batch[(batch >= starts[number]) & (batch < starts[number + 1])] - starts[number]
        columns.append((part.features[rows], part.logits[rows], part.targets[rows]))
    features, logits, targets = (np.concatenate(column) for column in zip(*columns, strict=True))
    return features.astype(np.float32), logits.astype(np.float32), targets.astype(np.int64)


def _count(part: CachedAnswers) -> VerdictCounts:
    correct = sum(int((part.logits[rows].argmax(1) == part.targets[rows]).sum()) for rows in _chunks(len(part.targets)))
    return VerdictCounts(correct, len(part.targets) - correct)


def _standardise(oracle: SharedOracle, features: Floats) -> None:
    """Mean and standard deviation of each feature, without all rows in memory at once."""
    total, squares = np.zeros(features.shape[1]), np.zeros(features.shape[1])
    for rows in _chunks(len(features)):
        chunk = np.asarray(features[rows], np.float64)
        total += chunk.sum(0)
        squares += (chunk**2).sum(0)
    mean = total / len(features)
    std = np.sqrt(np.maximum(squares / len(features) - mean**2, 0))
    oracle.mean.copy_(torch.from_numpy(mean))
    # A feature that never moves says nothing; divided by 1 it stays at 0.
    oracle.std.copy_(torch.from_numpy(np.where(std > 1e-6, std, 1.0)))


def _chunks(rows: int) -> Iterator[slice]:
    for start in range(0, rows, _CHUNK):
        yield slice(start, start + _CHUNK)
