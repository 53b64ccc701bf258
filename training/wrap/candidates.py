"""What a wrapped classifier's trust could be made of: a score of its logits alone, or heads on its features as well."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from training.answers import Answers
from training.best_score import fit_best_score
from training.calibrate import fit_temperature, fit_trust_head
from training.data.dataset import Dataset, Split
from training.data.images import to_images
from training.novelty import Novelty, fit_novelty_to, input_statistics
from training.oracle.recipes import RECIPES
from training.oracle.shared import SharedOracle
from training.oracle.shared_fit import CachedAnswers, fit_shared_oracle
from training.shift.copies import chained_copies
from training.wrap.frozen import FrozenClassifier
from training.wrap.merge import add_heads
from training.wrap.networks import WrappedNetworks
from training.wrap.surgery import FEATURES, LOGITS, set_temperature
from trust.head import TrustHead
from trust.preprocess import Pixels

RECIPE = RECIPES["shared"]
PARITY_IMAGES = 200
COPIES = 20_000
"""Corrupted copies that heads are fitted on, about; each image gives two to eight."""


@dataclass(frozen=True)
class Candidate:
    """A graph to serve, and the trust head that reads it."""

    networks: WrappedNetworks
    head: TrustHead


@dataclass(frozen=True)
class Calibrated:
    """The classifier with its temperature, and the scores of its logits."""

    classifier: FrozenClassifier
    temperature: float
    best_score: TrustHead

    def candidate(self, pixels: Pixels) -> Candidate:
        """The best of the scores; the graph is compared over some pixels (n, H, W, C)."""
        wanted = self.classifier.run(pixels)
        return Candidate(WrappedNetworks(self.classifier, self.temperature, pixels, wanted), self.best_score)


def calibrate_scores(classifier: FrozenClassifier, split: Split) -> Calibrated:
    """Temperature and post-hoc scores, on clean images.

    Raises:
        ValueError: all answers are right there, or none is.
    """
    answers = Answers(classifier.outputs(split.batches()), split.targets)
    logits = answers.outputs[LOGITS]
    if answers.correct.all() or not answers.correct.any():
        kind = "right" if answers.correct.all() else "wrong"
        raise ValueError(f"all {len(split)} answers are {kind} on the calibration images: nothing tells them apart")
    temperature = fit_temperature(logits, split.targets)
    scaled = FrozenClassifier(set_temperature(classifier.model, temperature), classifier.threads)
    return Calibrated(scaled, temperature, fit_best_score(answers, temperature))


def fit_heads(calibrated: Calibrated, dataset: Dataset, clean_weight: float, seed: int) -> Candidate:
    """Heads on the classifier's features, novelty, and the gated trust head that reads them.

    Args:
        calibrated: with features.
        dataset: heads and novelty are fitted on the oracle split, the trust head on the calibration split.
        clean_weight: what a clean image counts against a corrupted one in the trust head.
        seed: of the corruptions and of the heads.
    """
    classifier, pixels = calibrated.classifier, dataset.test.pixels(slice(PARITY_IMAGES))
    heads, novelty = _fit_to_oracle_split(classifier, dataset.oracle, len(dataset.classes), seed)
    with_heads, wanted = add_heads(classifier, heads, novelty, pixels)
    clean = Answers(with_heads.outputs(dataset.calibration.batches()), dataset.calibration.targets)
    batches, targets = chained_copies(dataset.calibration, 2, seed)
    corrupted = Answers(with_heads.outputs(batches), targets)
    head = fit_trust_head(
        RECIPE.trust_inputs, (clean.outputs, clean.correct), (corrupted.outputs, corrupted.correct), clean_weight
    )
    return Candidate(WrappedNetworks(with_heads, calibrated.temperature, pixels, wanted), head)


def _fit_to_oracle_split(
    classifier: FrozenClassifier, split: Split, classes: int, seed: int
) -> tuple[SharedOracle, Novelty]:
    clean = classifier.outputs(split.batches())
    novelty = fit_novelty_to(clean[FEATURES], _statistics(split.batches()), split.targets, classes)
    # One seed more than the calibration split's: the chains must not be the same.
    batches, targets = chained_copies(split, min(8, max(2, COPIES // len(split))), seed + 1)
    corrupted = classifier.outputs(batches)
    heads = fit_shared_oracle(
        clean[FEATURES],
        clean[LOGITS],
        split.targets,
        RECIPE,
        seed,
        corrupted=CachedAnswers(corrupted[FEATURES], corrupted[LOGITS], targets),
        title="heads on the classifier's features",
    )
    return heads, novelty


def _statistics(batches: Iterable[Pixels]) -> NDArray[np.float32]:
    cpu = torch.device("cpu")
    return np.concatenate([input_statistics(to_images(pixels, cpu)).numpy() for pixels in batches])
