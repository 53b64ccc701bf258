"""A bundle's own reference images: how its two scores and its answers did on them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trust.manifest import REFERENCE, ReferenceSummary, Threshold, read_manifest, verify_files
from trust.score import net_trust_score


@dataclass(frozen=True)
class ReferenceAnswers:
    """Answers to clean images that fitted neither the networks nor the trust head; (N,) each."""

    trust: NDArray[np.float64]
    confidence: NDArray[np.float64]
    correct: NDArray[np.bool_]
    predicted: NDArray[np.int64]


def summarise(answers: ReferenceAnswers, threshold: Threshold) -> ReferenceSummary:
    """What the manifest says of them."""
    trust, confidence, correct = answers.trust, answers.confidence, answers.correct
    return ReferenceSummary(
        images=len(trust),
        accuracy=float(correct.mean()),
        net_trust_score=net_trust_score(confidence, correct),
        net_trust_score_estimate=net_trust_score(confidence, trust),
        mean_trust=float(trust.mean()),
        mean_trust_lower=float(trust.mean() - 1.96 * trust.std(ddof=1) / len(trust) ** 0.5),
        mean_confidence=float(confidence.mean()),
        trust_rate=float((trust >= threshold.of(answers.predicted)).mean()),
    )


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
