"""What a wrapped classifier's trust could be made of: a score of its logits, heads on its features, or a network."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from training.answers import Answers
from training.best_score import fit_best_score
from training.bundle.graphs import FromPixels, export_network
from training.calibrate import fit_temperature, fit_trust_head
from training.classifier.network import Classifier
from training.data.dataset import Dataset, Split
from training.data.images import to_images
from training.novelty import Novelty, fit_novelty_to, input_statistics
from training.oracle.fit import fit_oracle
from training.oracle.recipes import RECIPES, OracleRecipe
from training.oracle.shared_fit import CachedAnswers, fit_shared_oracle
from training.shift.copies import chained_copies
from training.wrap.frozen import FrozenClassifier
from training.wrap.judge import Judge
from training.wrap.merge import add_to_graph
from training.wrap.networks import WrappedNetworks
from training.wrap.surgery import FEATURES, IMAGE, LOGITS, set_temperature
from trust.head import TrustHead
from trust.preprocess import Pixels

HEADS = RECIPES["shared"]
SECOND_NETWORK = replace(RECIPES["default"], epochs=15, heldout_repeats=4)
"""Many passes: the oracle split alone is all that such a network learns from."""
_BATCH = 128
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
    classifier, pixels, split = calibrated.classifier, dataset.test.pixels(slice(PARITY_IMAGES)), dataset.oracle
    clean = classifier.outputs(split.batches())
    # One seed more than the calibration split's: the chains must not be the same.
    batches, targets = chained_copies(split, min(8, max(2, COPIES // len(split))), seed + 1)
    corrupted = classifier.outputs(batches)
    heads = fit_shared_oracle(
        clean[FEATURES],
        clean[LOGITS],
        split.targets,
        HEADS,
        seed,
        corrupted=CachedAnswers(corrupted[FEATURES], corrupted[LOGITS], targets),
        title="heads on the classifier's features",
    )
    novelty = _fit_novelty(clean[FEATURES], split, len(dataset.classes))
    with_heads, wanted = add_to_graph(classifier, novelty, heads, pixels)
    networks = WrappedNetworks(with_heads, calibrated.temperature, pixels, wanted)
    return Candidate(networks, _fit_head(networks, HEADS, dataset.calibration, clean_weight, seed))


def fit_second_network(
    calibrated: Calibrated, dataset: Dataset, recipe: OracleRecipe, weights: Path | None, clean_weight: float, seed: int
) -> Candidate:
    """An oracle network of its own beside the classifier, novelty, and the gated trust head that reads them.

    Args:
        calibrated, dataset, clean_weight, seed: as of `fit_heads`.
        recipe: names the architecture.
        weights: checkpoint that it starts from.

    Raises:
        ValueError: an architecture or weights that cannot be had.
    """
    classifier, pixels, split = calibrated.classifier, dataset.test.pixels(slice(PARITY_IMAGES)), dataset.oracle
    # It has what fitting an oracle asks of a classifier: its classes, its channels, and answers to images.
    judge = cast(Classifier, Judge(classifier, len(dataset.classes), dataset.preprocess.input_size[0]))
    plan = recipe.plan(_BATCH)
    title = f"oracle {recipe.architecture}"
    oracle = fit_oracle(judge, dataset, recipe, plan=plan, seed=seed, title=title, weights=weights).cpu()
    images = to_images(pixels, torch.device("cpu"))
    with torch.inference_mode():
        said = {name: output.numpy() for name, output in oracle(images).items()}
    graph = export_network(FromPixels(oracle).eval(), (torch.from_numpy(pixels[:2]),), (IMAGE,), tuple(said))
    novelty = _fit_novelty(classifier.outputs(split.batches())[FEATURES], split, len(dataset.classes))
    with_novelty, wanted = add_to_graph(classifier, novelty, None, pixels)
    beside = FrozenClassifier(graph, classifier.threads)
    networks = WrappedNetworks(with_novelty, calibrated.temperature, pixels, wanted | said, beside)
    return Candidate(networks, _fit_head(networks, recipe, dataset.calibration, clean_weight, seed))


def _fit_head(
    networks: WrappedNetworks, recipe: OracleRecipe, split: Split, clean_weight: float, seed: int
) -> TrustHead:
    clean = Answers(networks.outputs(split.batches()), split.targets)
    batches, targets = chained_copies(split, 2, seed)
    corrupted = Answers(networks.outputs(batches), targets)
    return fit_trust_head(
        recipe.trust_inputs, (clean.outputs, clean.correct), (corrupted.outputs, corrupted.correct), clean_weight
    )


def _fit_novelty(features: NDArray[np.float32], split: Split, classes: int) -> Novelty:
    return fit_novelty_to(features, _statistics(split.batches()), split.targets, classes)


def _statistics(batches: Iterable[Pixels]) -> NDArray[np.float32]:
    cpu = torch.device("cpu")
    return np.concatenate([input_statistics(to_images(pixels, cpu)).numpy() for pixels in batches])
