"""What a training run does: one frozen dataclass; the command line is made from it and the manifest records it."""

import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from training.classifier.network import SMALL_RESNET
from training.data.torchvision_sets import FASHION_MNIST
from training.fit.plan import FitPlan, Precision
from training.oracle.losses import LossName
from training.shift.corruptions import TRAINED_KINDS, UNSEEN_KINDS
from training.shift.transforms import NAMELESS
from trust.head import TrustInput
from trust.manifest import NAME_PATTERN

RecipeName = Literal["default", "paper"]


@dataclass(frozen=True)
class OracleRecipe:
    """How one oracle is made."""

    head: Literal["mlp", "linear", "signed_distance"]
    """Steep slope head on the backbone's features; signed distance is (w.x + b) / ||w||."""
    class_head: bool
    """Also name the class; its log-odds of the classifier's answer are the strongest sign under shift."""
    labels: Literal["heldout", "training"]
    """Images on which correctness is known: those the classifier never saw, or (as published) its training images."""
    corrupted_share: float
    """Share of each batch that goes through a random chain of corruptions."""
    kinds: tuple[str, ...]
    """Corruptions the chains are made of."""
    heldout_repeats: int
    """How often an epoch shows each held-out image (a training image: once)."""
    epochs: int
    learning_rate: float
    loss: LossName = "steep_slope"
    """What the steep slope head is fitted with."""
    slope_correct: float = 1.0
    slope_incorrect: float = 3.0

    def plan(self, batch_size: int, accumulation: int = 1, precision: Precision = "fp32") -> FitPlan:
        """How the oracle is fitted."""
        return FitPlan(self.epochs, batch_size, self.learning_rate, accumulation=accumulation, precision=precision)

    @property
    def trust_inputs(self) -> tuple[TrustInput, ...]:
        """What such an oracle gives the trust head, beside the classifier's confidence."""
        own: tuple[TrustInput, ...] = ("own_log_odds",) if self.class_head else ()
        return (*own, "confidence_log_odds", "oracle_logit")


RECIPES: dict[RecipeName, OracleRecipe] = {
    "default": OracleRecipe(
        head="mlp",
        class_head=True,
        labels="heldout",
        corrupted_share=0.8,
        kinds=(*TRAINED_KINDS, *NAMELESS),
        heldout_repeats=2,
        epochs=3,
        learning_rate=0.03,
    ),
    # Luo et al.: one linear head as a signed distance, training-set labels, clean images, one epoch.
    "paper": OracleRecipe(
        head="signed_distance",
        class_head=False,
        labels="training",
        corrupted_share=0.0,
        kinds=(),
        heldout_repeats=0,
        epochs=1,
        learning_rate=0.01,
    ),
}


NOT_OF_THE_NUMBERS = ("run", "resume", "checkpoint_seconds")
"""Options that change nothing about what a run finds."""


@dataclass(frozen=True)
class TrainingConfig:
    """One run, from images to bundle."""

    data: str = FASHION_MNIST
    """imagefolder:PATH with one folder of images per class (or PATH/train and PATH/test), csv:FILE with the columns
    path,label, imagenet:PATH, or fashion-mnist, mnist, cifar10, cifar100, svhn (NAME:FOLDER where downloaded)."""
    decoded_limit_gib: float = 64.0
    """Pixels of larger sets are not kept on disk but decoded anew in every pass."""
    name: str = "fashion-mnist"
    """Name of the bundle."""
    backbone: str = SMALL_RESNET
    """small_resnet, or any timm model by name, such as resnet50 or vit_base_patch16_224."""
    pretrained: bool = False
    """Start from timm's published weights, where the machine can load them."""
    weights: Path | None = None
    """Start from this local checkpoint."""
    image_size: int | None = None
    """Side of the networks' input in pixels; the backbone's own where not given."""
    run: Path = Path("runs/fashion-mnist")
    """Folder for what the steps leave to each other."""
    models: Path = Path("models")
    """Folder into which the bundle is exported."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train; auto takes a GPU where there is one."""
    seed: int = 0
    """Of the splits, the initialisation, the order of images and the corruptions."""
    batch_size: int = 128
    """Images a step."""
    classifier_epochs: int = 18
    """Passes over the classifier's training images."""
    classifier_learning_rate: float = 0.1
    """Peak of the one-cycle schedule (SGD); take about 0.01 for pretrained weights."""
    recipe: RecipeName = "default"
    """How the exported oracle is made."""
    loss: LossName | None = None
    """What the oracle's correctness head is fitted with; the recipe's (steep slope) where not given."""
    oracle_epochs: int | None = None
    """Passes over the oracle's images; the recipe's where not given."""
    oracle_seeds: int = 3
    """Oracles trained for the table, which gives mean and spread; the first is exported."""
    compare_paper: bool = True
    """Train the published recipe too, for the table."""
    clean_weight: float = 10.0
    """What a clean image counts against a corrupted one when the trust head is fitted. More keeps the ranking of clean
    images, less that under shift: cross-validated on the calibration split, AUROC falls behind softmax confidence by
    1.7, .7, .5, .3, .3 points on clean images for 1, 3, 5, 10, 20; on corrupted ones it is 95.4 to 94.6."""
    risk: float = 0.02
    """Error rate among trusted answers that the threshold promises to stay below."""
    confidence: float = 0.95
    """Probability, over draws of the reference images, that the promise holds."""

    accumulation: int = 1
    """Parts in which each process takes its share of a batch, for batches that do not fit into memory."""
    precision: Precision = "fp32"
    """Of the networks while they are trained: fp32, bf16 or (on a GPU) fp16."""
    resume: bool = False
    """Go on where a killed run stopped; steps that are finished are not done again."""
    checkpoint_seconds: float = 300.0
    """Between two checkpoints, at most; there is one more at the end of each epoch."""
    force: bool = False
    """Export the oracle even where the gate does not promote it; the manifest says so."""

    def __post_init__(self) -> None:
        # Now, not after hours of training.
        for option in ("batch_size", "accumulation", "classifier_epochs", "oracle_seeds"):
            _require(getattr(self, option) >= 1, option, getattr(self, option), "at least 1")
        for option in ("classifier_learning_rate", "clean_weight", "checkpoint_seconds", "decoded_limit_gib"):
            _require(getattr(self, option) > 0, option, getattr(self, option), "a number above 0")
        for option in ("risk", "confidence"):
            _require(0 < getattr(self, option) < 1, option, getattr(self, option), "a share between 0 and 1")
        _require(
            self.oracle_epochs is None or self.oracle_epochs >= 1, "oracle_epochs", self.oracle_epochs, "at least 1"
        )
        _require(self.image_size is None or self.image_size >= 8, "image_size", self.image_size, "at least 8 pixels")
        _require(self.weights is None or self.weights.is_file(), "weights", self.weights, "a file that exists")
        wanted = "letters, digits, '.', '_' and '-', at most 64, for it names a folder and a metric's label"
        _require(bool(re.fullmatch(NAME_PATTERN, self.name)), "name", self.name, wanted)

    def oracle_recipe(self, name: RecipeName) -> OracleRecipe:
        """A recipe as this run makes it: the exported one with the options that override it."""
        chosen = RECIPES[name]
        if name != self.recipe:
            return chosen
        return replace(chosen, epochs=self.oracle_epochs or chosen.epochs, loss=self.loss or chosen.loss)

    @property
    def recipes(self) -> tuple[RecipeName, ...]:
        """Recipes trained in this run, the exported one first."""
        return (self.recipe, "paper") if self.compare_paper and self.recipe != "paper" else (self.recipe,)


def _require(holds: bool, option: str, value: object, wanted: str) -> None:
    if not holds:
        raise ValueError(f"--{option.replace('_', '-')} is {value}; wanted {wanted}")


def provenance(config: TrainingConfig) -> dict[str, Any]:
    """What a bundle records of its run: all that made its numbers, no path of this machine; the oracle's recipe."""
    unsaid = ("models", "weights", *NOT_OF_THE_NUMBERS)
    recipe = config.oracle_recipe(config.recipe)
    return {
        "config": {key: value for key, value in asdict(config).items() if key not in unsaid},
        "recipe": asdict(recipe) | {"kinds": list(recipe.kinds)},
        "trained_kinds": list(TRAINED_KINDS),
        "unseen_kinds": list(UNSEEN_KINDS),
    }
