"""Images that are of none of the classes: no answer to them is right, and trust should say so."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from training.bootstrap import mean_interval
from training.data.dataset import Split
from training.evaluation.conditions import Condition
from training.evaluation.scorers import OutputsOf, Scorer
from training.shift.other_data import OTHER_DATA, other_data
from trust.posthoc import Floats

IMAGES = 1000
"""Of each kind."""


def measure_other_data(outputs_of: OutputsOf, scorers: Sequence[Scorer], test: Split, seed: int) -> dict[str, Any]:
    """{kind: {"images", "confidence": {"value", "low", "high"}, "trust": {row: the same}}}: means with 95 % intervals.

    Args:
        outputs_of: what the networks say about some images.
        scorers: of whom the trust heads are asked; of several seeds the first.
        test: the classifier's own images give the shape, and are inverted.
        seed: of what is drawn.
    """
    own = test.pixels(slice(IMAGES))
    found = {}
    for kind in OTHER_DATA:
        pixels = other_data(kind, own, IMAGES, seed)
        views = outputs_of(Condition(Split(pixels, np.arange(IMAGES), np.full(IMAGES, -1))))
        trusts = {scorer.row: scorer(views) for scorer in reversed(scorers) if scorer.is_trust}
        found[kind] = {
            "images": IMAGES,
            "confidence": _mean(next(iter(views.values()))["probabilities"].max(1).astype(float)),
            "trust": {row: _mean(trust) for row, trust in trusts.items()},
        }
    return found


def _mean(values: Floats) -> dict[str, float]:
    interval = mean_interval(values)
    return {"value": round(interval.value, 5), "low": round(interval.low, 5), "high": round(interval.high, 5)}
