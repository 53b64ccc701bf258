"""The figures one asks for first, from the table of `training.evaluation.table`."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from training.outputs import CLEAN
from training.scores.methods import TEMPERATURE_SCALED, TRUST
from training.shift.corruptions import TRAINED_KINDS, UNSEEN_KINDS

GROUPS: dict[str, tuple[str, ...]] = {CLEAN: (CLEAN,), "trained": TRAINED_KINDS, "unseen": UNSEEN_KINDS}
"""Conditions that are averaged."""

_Methods = Mapping[str, Mapping[str, Mapping[str, float]]]


def summarise(conditions: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Of clean images, and of trained and unseen kinds of corruption, each the mean over its kinds.

    Gains are in AUROC points against temperature-scaled softmax confidence; NetTrustScore errors are |estimate - true|;
    of both the worst kind is given too.
    """
    return {group: _summary([conditions[kind]["methods"] for kind in kinds]) for group, kinds in GROUPS.items()}


def _summary(kinds: list[_Methods]) -> dict[str, float]:
    gains = [_points(TRUST, kind) - _points(TEMPERATURE_SCALED, kind) for kind in kinds]
    errors = [_estimate_error(TRUST, kind) for kind in kinds]
    return {
        "softmax_auroc": float(np.mean([_points(TEMPERATURE_SCALED, kind) for kind in kinds])),
        "trust_auroc": float(np.mean([_points(TRUST, kind) for kind in kinds])),
        "auroc_gain": float(np.mean(gains)),
        "auroc_gain_worst": min(gains),
        "ece": float(np.mean([kind[TRUST]["ece"]["mean"] for kind in kinds])),
        "softmax_ece": float(np.mean([kind[TEMPERATURE_SCALED]["ece"]["mean"] for kind in kinds])),
        "net_trust_score_error": float(np.mean(errors)),
        "net_trust_score_error_worst": max(errors),
        "softmax_net_trust_score_error": float(np.mean([_estimate_error(TEMPERATURE_SCALED, kind) for kind in kinds])),
    }


def _points(method: str, kind: _Methods) -> float:
    return 100 * kind[method]["auroc"]["mean"]


def _estimate_error(method: str, kind: _Methods) -> float:
    return abs(kind[method]["net_trust_score_estimate"]["mean"] - kind[method]["net_trust_score"]["mean"])
