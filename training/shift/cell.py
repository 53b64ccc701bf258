"""One cell of the shift study: one classifier, one oracle, one split of the kinds, measured on the test images."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from training.answers import Answers, Bools, Outputs
from training.bootstrap import bootstrap_paired
from training.calibrate import fit_trust_head
from training.config import TrainingConfig
from training.data.dataset import BATCH, Dataset, Targets
from training.data.images import to_images, to_pixels
from training.metrics.calibration import ece
from training.metrics.ranking import auroc
from training.oracle.recipes import OracleRecipe, RecipeName
from training.pair import Pair
from training.run import Run
from training.seeds import draw_seed
from training.shift.adversarial import fgsm, pgd
from training.shift.copies import chained_copies
from training.shift.corruptions import corrupt
from training.shift.mixes import DEFAULT, mix_of
from training.shift.other_data import OTHER_DATA, other_data
from training.shift.outliers import make_outliers
from training.shift.splits import ALTERNATING, kind_split
from training.steps import load_pair
from trust.head import TrustHead, log_odds, sigmoid, trust_probability
from trust.preprocess import Pixels
from trust.score import net_trust_score

SEVERITIES = (3, 4, 5)
EPSILONS = (4,)
"""Of the attacks, in grey levels."""
NO_CLASS = -1
"""Target of an image of which no answer is right."""

Figures = dict[str, float]
Answered = tuple[Outputs, Bools]
"""Outputs of both networks, and whether the classifier's answers are right."""


@dataclass(frozen=True)
class CellConfig(TrainingConfig):
    """A run whose oracle meets the trained kinds of one split, and none of its unseen ones."""

    split: str = ALTERNATING.name
    mix: str = DEFAULT.name

    def oracle_recipe(self, name: RecipeName) -> OracleRecipe:
        """The recipe with this split's kinds, in this mix, in place of its own."""
        return mix_of(self.mix).of(super().oracle_recipe(name), kind_split(self.split))


def measure_cell(config: CellConfig, run: Run, dataset: Dataset, images: int) -> dict[str, Figures]:
    """Figures by condition: `clean`, `<kind>:<severity>`, `<attack>:<grey levels>` and the names of other data.

    Args:
        config: of the cell, which is trained and calibrated.
        run: its folder.
        dataset: calibration (for the ablated heads) and test split are used.
        images: test images of each condition but `clean`, which takes all.
    """
    pair, calibrated = load_pair(config, run, dataset)
    (name,) = pair.oracles
    heads = {"": calibrated.heads[name], **_ablated_heads(config, pair, dataset)}

    def figures(pixels: Pixels, targets: Targets) -> Figures:
        return condition_figures(pair.outputs(_batches(pixels))[name], targets, heads)

    found = {"clean": figures(dataset.test.pixels(slice(None)), dataset.test.targets)}
    for condition, pixels, targets in _shifted(config, pair, dataset, images):
        found[condition] = figures(pixels, targets)
    for kind in OTHER_DATA:
        pixels = other_data(kind, dataset.test.pixels(slice(None)), images, config.seed)
        found[kind] = figures(pixels, np.full(images, NO_CLASS))
    return found


def condition_figures(outputs: Outputs, targets: Targets, heads: dict[str, TrustHead]) -> Figures:
    """What the study keeps of one condition; AUROC is NaN where all answers are right, or none is.

    Args:
        outputs: of both networks, by name.
        targets: (N,) true classes; a class that is none of the classifier's where no answer is right.
        heads: the trust head under "", its ablated variants under their names.
    """
    predicted, own = outputs["logits"].argmax(1), outputs["oracle_class_logits"].argmax(1)
    correct = predicted == targets
    confidence = outputs["probabilities"].max(1).astype(float)
    scores = {
        "softmax": confidence,
        "class head": sigmoid(log_odds(outputs["oracle_class_logits"], predicted)),
        "logit": sigmoid(outputs["oracle_logit"]),
        **{f"trust{variant}": trust_probability(head, outputs) for variant, head in heads.items()},
    }
    of_own = sigmoid(log_odds(outputs["oracle_class_logits"], own))
    found = {
        "accuracy": float(correct.mean()),
        "class head accuracy": float((own == targets).mean()),
        "class head auroc of its own answers": auroc(of_own, own == targets),
        "net trust score": net_trust_score(confidence, correct),
    }
    for name, score in scores.items():
        found |= {
            f"{name} auroc": auroc(score, correct),
            f"{name} ece": ece(score, correct),
            f"{name} mean": float(score.mean()),
            f"{name} net trust score": net_trust_score(confidence, score),
        }
    if 0 < correct.mean() < 1:
        better = bootstrap_paired({"auroc": auroc}, scores["trust"], confidence, correct, resamples=200)["auroc"]
        # Half of a 95 % interval is 1.96 standard deviations of a normal.
        found["auroc gain sd"] = (better.high - better.low) / 2 / 1.96
    return found


def _shifted(
    config: CellConfig, pair: Pair, dataset: Dataset, images: int
) -> Iterator[tuple[str, Pixels, NDArray[np.int64]]]:
    """Condition, pixels and targets of each unseen kind at each severity, then of each attack."""
    rng, device = np.random.default_rng(config.seed), pair.device
    for kind in kind_split(config.split).unseen:
        for severity in SEVERITIES:
            part = dataset.test.take(rng.permutation(len(dataset.test))[:images])
            clean = to_images(part.pixels(slice(None)), torch.device("cpu"))
            drawn = draw_seed(config.seed, severity)
            yield f"{kind}:{severity}", to_pixels(corrupt(clean, kind, severity, drawn)), part.targets
    part = dataset.test.take(rng.permutation(len(dataset.test))[:images])
    clean, targets = to_images(part.pixels(slice(None)), device), torch.from_numpy(part.targets).to(device)
    classifier = pair.classifier.classifier
    for epsilon in EPSILONS:
        yield f"fgsm:{epsilon}", to_pixels(fgsm(classifier, clean, targets, epsilon)), part.targets
        yield f"pgd:{epsilon}", to_pixels(pgd(classifier, clean, targets, epsilon, seed=config.seed)), part.targets


def _ablated_heads(config: CellConfig, pair: Pair, dataset: Dataset) -> dict[str, TrustHead]:
    """Trust heads that lack one thing each, or are calibrated on other images, by what is different."""
    clean, seed, weight = dataset.calibration, config.seed, config.clean_weight
    (name,) = pair.oracles
    inputs = config.oracle_recipe(config.recipe).trust_inputs

    def answers(batches: Iterable[Pixels], targets: Targets) -> Answered:
        answered = Answers(pair.outputs(batches)[name], targets)
        return answered.outputs, answered.correct

    on_clean = answers(clean.batches(), clean.targets)
    on_mix = answers(*chained_copies(clean, 2, seed, config.calibration_kinds))
    on_named = answers(*chained_copies(clean, 2, seed, kind_split(config.split).trained))
    strange = to_pixels(make_outliers(to_images(clean.pixels(slice(0, len(clean) // 5)), pair.device), seed))
    on_strange = answers(_batches(strange), np.full(len(strange), NO_CLASS))

    def without(trust_input: str) -> TrustHead:
        left = tuple(other for other in inputs if other != trust_input)
        return fit_trust_head(left, on_clean, on_mix, weight)

    ungated = fit_trust_head(inputs, _familiar(on_clean), _familiar(on_mix), weight)
    return {
        " without class head": without("own_log_odds"),
        " without logit": without("oracle_logit"),
        " without confidence": without("confidence_log_odds"),
        " without gate": ungated.model_copy(update={"gate": None}),
        " calibrated on clean": fit_trust_head(inputs, on_clean, on_clean, weight),
        " calibrated on named kinds": fit_trust_head(inputs, on_clean, on_named, weight),
        " calibrated with outliers": fit_trust_head(inputs, on_clean, _joined(on_mix, on_strange), weight),
    }


def _joined(one: Answered, other: Answered) -> Answered:
    outputs = {name: np.concatenate([one[0][name], other[0][name]]) for name in one[0]}
    return outputs, np.concatenate([one[1], other[1]])


def _familiar(answered: Answered) -> Answered:
    """The same answers as if every image were like clean ones: the gate stays shut."""
    outputs, correct = answered
    return {**outputs, "novelty": np.full_like(outputs["novelty"], -np.inf)}, correct


def _batches(pixels: Pixels) -> Iterator[Pixels]:
    for start in range(0, len(pixels), BATCH):
        yield pixels[start : start + BATCH]
