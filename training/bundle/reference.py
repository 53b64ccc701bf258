"""A bundle's own reference images: how its two scores and its answers did on them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trust.manifest import REFERENCE, read_manifest, verify_files


@dataclass(frozen=True)
class ReferenceAnswers:
    """Answers to clean images that fitted neither the networks nor the trust head; (N,) each."""

    trust: NDArray[np.float64]
    confidence: NDArray[np.float64]
    correct: NDArray[np.bool_]
    predicted: NDArray[np.int64]


def read_reference(bundle: Path) -> ReferenceAnswers:
    """The answers to a bundle's reference images.

    Raises:
        BundleError: no bundle there, or files that are not what was exported.
    """
    verify_files(bundle, read_manifest(bundle))
    with np.load(bundle / REFERENCE) as rows:
        trust, confidence = rows["trust"].astype(float), rows["confidence"].astype(float)
        predicted = rows["predicted"].astype(np.int64)
        return ReferenceAnswers(trust, confidence, predicted == rows["target"], predicted)
