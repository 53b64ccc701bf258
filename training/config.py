"""What a training run does: one frozen dataclass; the command line is made from it and the manifest records it."""

import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from training.classifier.confidence import ConfidenceName
from training.classifier.fit import ClassifierLoss, ClassifierLossName, classifier_plan
from training.classifier.network import SMALL_RESNET
from training.data.torchvision_sets import FASHION_MNIST
from training.fit.plan import FitPlan, OptimizerName, Precision, ScheduleName
from training.oracle.heads import HeadName
from training.oracle.loss_table import LossName
from training.oracle.recipes import RECIPES, Backbone, Labels, OracleRecipe, RecipeName
from training.shift.corruptions import TRAINED_KINDS, TRAINING_MIX, UNSEEN_KINDS
from trust.manifest import NAME_PATTERN

_OVERRIDES = {
    "head": "head",
    "labels": "labels",
    "backbone": "scheme",
    "loss": "loss",
    "slope_correct": "slope_correct",
    "slope_incorrect": "slope_incorrect",
    "paper_compat": "paper_compat",
    "architecture": "oracle_backbone",
    "pretrained": "oracle_pretrained",
    "image_size": "oracle_image_size",
    "epochs": "oracle_epochs",
    "learning_rate": "oracle_learning_rate",
    "optimizer": "oracle_optimizer",
    "schedule": "oracle_schedule",
    "momentum": "oracle_momentum",
    "nesterov": "oracle_nesterov",
    "weight_decay": "oracle_weight_decay",
    "warmup": "oracle_warmup",
}
"""Field of the exported recipe, and the option that overrides it."""


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
    """Passes over the classifier's training images; 0: the weights it starts from stay as they are."""
    classifier_learning_rate: float = 0.1
    """Peak of the one-cycle schedule (SGD); take about 0.01 for pretrained weights."""
    classifier_loss: ClassifierLossName = "cross_entropy"
    """cross_entropy; crl, which ranks confidence by how often an image was answered right; or fmfp, flat minima."""
    classifier_dropout: float = 0.0
    """Share of the features dropped before the last layer while training, for Monte-Carlo dropout."""
    crl_confidence: ConfidenceName = "softmax"
    """What the correctness ranking loss ranks."""
    crl_weight: float = 1.0
    """What the correctness ranking loss counts against cross entropy."""
    folds: int = 5
    """Classifiers that judge the training images of a recipe with labels crossfit, each those it never saw."""
    recipe: RecipeName = "default"
    """How the exported oracle is made."""
    loss: LossName | None = None
    """What the oracle's correctness head is fitted with; the recipe's (steep slope) where not given."""
    head: HeadName | None = None
    """The oracle's correctness head; the recipe's where not given, as with all that follows."""
    labels: Labels | None = None
    """Images on which correctness is known."""
    scheme: Backbone | None = None
    """Train the oracle's encoder (finetuned), heads on a frozen one, or heads on the classifier's features (shared)."""
    slope_correct: float | None = None
    """Of the steep slope loss: the larger, the dearer a correct answer that is distrusted."""
    slope_incorrect: float | None = None
    """Of the steep slope loss: the larger, the dearer an incorrect answer that is trusted."""
    paper_compat: bool = False
    """Average cross entropy and focal loss over the published code's (B, B) broadcast; for comparison alone."""
    oracle_backbone: str | None = None
    """Another backbone than the classifier's for the oracle, with its own normalisation."""
    oracle_pretrained: bool = False
    """Start that backbone from timm's published weights."""
    oracle_weights: Path | None = None
    """Start that backbone from this local checkpoint."""
    oracle_image_size: int | None = None
    """Side in pixels to which that backbone's graph resizes its images; its own where not given."""
    oracle_learning_rate: float | None = None
    """Peak of the oracle's schedule."""
    oracle_optimizer: OptimizerName | None = None
    oracle_schedule: ScheduleName | None = None
    oracle_momentum: float | None = None
    oracle_nesterov: bool | None = None
    oracle_weight_decay: float | None = None
    oracle_warmup: float | None = None
    """Share of the steps in which the one-cycle schedule rises."""
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
        for option in ("batch_size", "accumulation", "oracle_seeds"):
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
        fewest = 0 if self.pretrained or self.weights else 1
        wanted = "at least 1, or 0 with weights to start from"
        _require(self.classifier_epochs >= fewest, "classifier_epochs", self.classifier_epochs, wanted)
        dropout, weights = self.classifier_dropout, self.oracle_weights
        _require(0 <= dropout < 1, "classifier_dropout", dropout, "a share from 0 to below 1")
        _require(self.folds >= 2, "folds", self.folds, "at least 2")
        _require(weights is None or weights.is_file(), "oracle_weights", weights, "a file that exists")
        own = not (self.oracle_pretrained or weights or self.oracle_image_size)
        wanted = "a name, for --oracle-pretrained, --oracle-weights and --oracle-image-size are about it"
        _require(own or self.oracle_backbone is not None, "oracle_backbone", self.oracle_backbone, wanted)
        # A recipe refuses what contradicts itself.
        for name in self.recipes:
            self.oracle_recipe(name)

    def oracle_recipe(self, name: RecipeName) -> OracleRecipe:
        """A recipe as this run makes it: the exported one with the options that override it."""
        if name != self.recipe:
            return RECIPES[name]
        chosen = {field: getattr(self, option) for field, option in _OVERRIDES.items()}
        if self.labels in ("heldout", "crossfit"):
            chosen["heldout_repeats"] = max(1, RECIPES[name].heldout_repeats)
        return replace(RECIPES[name], **{field: value for field, value in chosen.items() if value is not None})

    @property
    def calibration_kinds(self) -> tuple[str, ...]:
        """Corruptions that the trust head is calibrated on: those the oracle met, or the default's if it met none."""
        return self.oracle_recipe(self.recipe).kinds or TRAINING_MIX

    @property
    def needs_folds(self) -> bool:
        """Whether an oracle of this run learns from cross-fitted verdicts."""
        return any(self.oracle_recipe(name).labels == "crossfit" for name in self.recipes)

    @property
    def classifier_plan(self) -> FitPlan:
        """How the classifier is fitted."""
        plan = classifier_plan(
            self.classifier_loss, self.classifier_epochs, self.batch_size, self.classifier_learning_rate
        )
        return replace(plan, accumulation=self.accumulation, precision=self.precision)

    @property
    def chosen_classifier_loss(self) -> ClassifierLoss:
        """What it is fitted with."""
        return ClassifierLoss(self.classifier_loss, self.crl_confidence, self.crl_weight)

    @property
    def recipes(self) -> tuple[RecipeName, ...]:
        """Recipes trained in this run, the exported one first."""
        return (self.recipe, "paper") if self.compare_paper and self.recipe != "paper" else (self.recipe,)


def _require(holds: bool, option: str, value: object, wanted: str) -> None:
    if not holds:
        raise ValueError(f"--{option.replace('_', '-')} is {value}; wanted {wanted}")


def provenance(config: TrainingConfig) -> dict[str, Any]:
    """What a bundle records of its run: all that made its numbers, no path of this machine; the oracle's recipe."""
    unsaid = ("models", "weights", "oracle_weights", *NOT_OF_THE_NUMBERS)
    recipe = config.oracle_recipe(config.recipe)
    return {
        "config": {key: value for key, value in asdict(config).items() if key not in unsaid},
        "recipe": asdict(recipe) | {"kinds": list(recipe.kinds)},
        "trained_kinds": list(TRAINED_KINDS),
        "unseen_kinds": list(UNSEEN_KINDS),
    }
