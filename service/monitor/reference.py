"""What the live traffic is compared with: the answers to the bundle's reference images, summed as the live ones are."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.bundle import Bundle, read_reference
from service.monitor.window import Sums
from trust.head import decide
from trust.manifest import REFERENCE, BundleError, Threshold
from trust.score import question_answer_trust

Floats = NDArray[np.float64]

_COLUMNS = {"trust", "confidence", "predicted"}


@dataclass(frozen=True)
class Reference:
    """Answers to clean images that fitted nothing."""

    sums: Sums
    novelty: Floats | None
    """(M,), or None where the bundle measures none."""


def sum_reference(bundle: Bundle, threshold: Threshold, reward: float, penalty: float, classes: int) -> Reference:
    """The reference of a bundle, under the threshold in force and the exponents of question-answer trust.

    Args:
        classes: how many classes are told apart; those beyond count as the last.

    Raises:
        BundleError: the file is none of arrays, or lacks one.
    """
    rows = read_reference(bundle)
    if absent := _COLUMNS - rows.keys():
        raise BundleError(f"{bundle.path / REFERENCE} lacks {sorted(absent)}; export the bundle again")
    trust, confidence = rows["trust"].astype(float), rows["confidence"].astype(float)
    predicted = rows["predicted"].astype(int)
    columns = np.column_stack(
        [
            np.zeros(len(trust)),
            np.minimum(predicted, classes - 1),
            decide(trust, threshold.of(predicted)),
            trust,
            confidence,
            question_answer_trust(confidence, trust, reward, penalty),
            np.full(len(trust), math.nan),
        ]
    )
    return Reference(Sums.of(classes, columns), rows["novelty"].astype(float) if "novelty" in rows else None)
