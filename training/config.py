"""What a training run does: one frozen dataclass; the command line is made from it and the manifest records it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from training.classifier.network import SMALL_RESNET
from training.data.dataset import FASHION_MNIST
from training.oracle.losses import LossName
from training.shift.corruptions import NAMELESS_SHARES, TRAINED_KINDS
from trust.head import TrustInput

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
    outlier_share: float = 0.0
    """Images of no class added to each batch, as a share of it; both heads learn to distrust them."""
    loss: LossName = "steep_slope"
    """What the steep slope head is fitted with."""
    slope_correct: float = 1.0
    slope_incorrect: float = 3.0

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
        kinds=(*TRAINED_KINDS, *NAMELESS_SHARES),
        heldout_repeats=2,
        epochs=3,
        learning_rate=0.03,
        outlier_share=0.125,
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


@dataclass(frozen=True)
class TrainingConfig:
    """One run, from images to bundle."""

    data: str = FASHION_MNIST
    """fashion-mnist, or imagefolder:PATH with one folder of images per class (or PATH/train and PATH/test)."""
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

    def oracle_recipe(self, name: RecipeName) -> OracleRecipe:
        """A recipe as this run makes it: the exported one with the options that override it."""
        chosen = RECIPES[name]
        if name != self.recipe:
            return chosen
        return replace(chosen, epochs=self.oracle_epochs or chosen.epochs, loss=self.loss or chosen.loss)

    @property
    def calibration_kinds(self) -> tuple[str, ...]:
        """Corruptions that the trust head is calibrated on: those the oracle met, or the default's if it met none."""
        return self.oracle_recipe(self.recipe).kinds or RECIPES["default"].kinds

    @property
    def recipes(self) -> tuple[RecipeName, ...]:
        """Recipes trained in this run, the exported one first."""
        return (self.recipe, "paper") if self.compare_paper and self.recipe != "paper" else (self.recipe,)
