"""How oracles are made: what is trained, on which verdicts, with which loss; the recipes that have a name."""

from dataclasses import dataclass
from typing import Literal

from training.fit.plan import FitPlan, OptimizerName, Precision, ScheduleName
from training.oracle.heads import HeadName
from training.oracle.loss_table import LOSSES, LossName
from training.shift.corruptions import TRAINING_MIX
from trust.head import TrustInput

RecipeName = Literal["default", "paper", "confidnet", "shared"]
Labels = Literal["heldout", "training", "crossfit"]
Backbone = Literal["finetuned", "frozen", "shared"]


@dataclass(frozen=True)
class OracleRecipe:
    """How one oracle is made.

    Raises:
        ValueError: settings that contradict each other, with the way out.
    """

    head: HeadName
    """On the backbone's features, for the oracle's logit; signed distance is (w.x + b) / ||w||, confidnet 5 layers."""
    class_head: bool
    """Also name the class; its log-odds of the classifier's answer are the strongest sign under shift."""
    labels: Labels
    """Images on which correctness is known: those the classifier never saw; (as published) its training images; or
    beside the former also the latter, each judged by a classifier trained on the other folds."""
    corrupted_share: float
    """Share of each batch that goes through a random chain of corruptions; with a shared backbone of all rows."""
    kinds: tuple[str, ...]
    """Corruptions the chains are made of."""
    heldout_repeats: int
    """How often an epoch shows each held-out image (a training image: once)."""
    epochs: int
    learning_rate: float
    outlier_share: float = 0.0
    """Images of no class added to each batch, as a share of it, for both heads to distrust; a shared backbone, whose
    features are computed once, gets none."""
    loss: LossName = "steep_slope"
    """What the steep slope head is fitted with."""
    slope_correct: float = 1.0
    slope_incorrect: float = 3.0
    paper_compat: bool = False
    """Average cross entropy and focal loss over the (B, B) matrix of the published code, for comparison alone."""
    backbone: Backbone = "finetuned"
    """Train the oracle's encoder; train the heads alone on a frozen one; or share the classifier's own features, so
    that serving the oracle costs almost nothing."""
    finetune_epochs: int = 0
    """Passes after those of a frozen backbone, with the encoder free, its dropout off and its batch statistics kept
    (ConfidNet's second step)."""
    finetune_learning_rate: float = 1e-5
    architecture: str | None = None
    """Another backbone than the classifier's, small_resnet or timm's, with its own normalisation; None: its copy."""
    pretrained: bool = False
    """Start another backbone from timm's published weights."""
    image_size: int | None = None
    """Side in pixels to which another backbone's images are resized in the graph; its own where not given."""
    optimizer: OptimizerName = "sgd"
    schedule: ScheduleName = "one_cycle"
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4
    warmup: float = 0.2
    """Share of the steps in which the one-cycle schedule rises."""

    def __post_init__(self) -> None:
        for name in ("slope_correct", "slope_incorrect"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name):g}; wanted more than 0")
        for name in ("corrupted_share", "outlier_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name):g}; wanted a share from 0 to 1")
        if self.corrupted_share and not self.kinds:
            raise ValueError(f"corrupted_share is {self.corrupted_share:g} without kinds of corruption; name some")
        if self.labels == "heldout" and self.heldout_repeats < 1:
            raise ValueError("labels heldout with heldout_repeats 0: no verdict would be known; give 1 or more")
        if self.paper_compat and not LOSSES[self.loss].broadcast_as_published:
            able = ", ".join(name for name, loss in LOSSES.items() if loss.broadcast_as_published)
            raise ValueError(f"paper_compat with loss {self.loss}: the published code broadcasts {able} alone")
        if self.finetune_epochs and self.backbone != "frozen":
            raise ValueError(f"finetune_epochs {self.finetune_epochs} with a backbone {self.backbone}; wanted frozen")
        if self.backbone == "shared" and self.corrupted_share == 1:
            raise ValueError("corrupted_share 1 with a shared backbone: it learns from each image as it is too")
        if self.backbone == "shared" and self.architecture is not None:
            raise ValueError(
                f"architecture {self.architecture} with a shared backbone, which is the classifier's; "
                "leave it out or take backbone frozen"
            )

    def plan(self, batch_size: int, accumulation: int = 1, precision: Precision = "fp32") -> FitPlan:
        """How the oracle is fitted; of a frozen backbone, its heads.

        Raises:
            ValueError: naming a field that cannot be.
        """
        return FitPlan(
            epochs=self.epochs,
            batch_size=batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            optimizer=self.optimizer,
            momentum=self.momentum,
            nesterov=self.nesterov,
            schedule=self.schedule,
            warmup=self.warmup,
            accumulation=accumulation,
            precision=precision,
        )

    @property
    def loss_label(self) -> str:
        """What a table calls the oracle's logit: its loss, marked where it is the published code's broadcast.

        >>> RECIPES["paper"].loss_label
        'steep slope'
        """
        return self.loss.replace("_", " ") + (" (paper-compat)" if self.paper_compat else "")

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
        kinds=TRAINING_MIX,
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
    # Corbiere et al.: head and its Adam at 1e-4 as released; epochs and the rate of fine-tuning are ours.
    "confidnet": OracleRecipe(
        head="confidnet",
        class_head=False,
        labels="training",
        corrupted_share=0.0,
        kinds=(),
        heldout_repeats=0,
        epochs=10,
        learning_rate=1e-4,
        loss="tcp",
        backbone="frozen",
        finetune_epochs=2,
        finetune_learning_rate=1e-5,
        optimizer="adam",
        schedule="constant",
        weight_decay=0.0,
    ),
    # Heads on the classifier's own features, of clean and corrupted images that the classifier never saw. AUROC on
    # Fashion-MNIST, clean and in chains of trained kinds: logit 90.2 and 85.0, class head 92.0 and 90.5, softmax
    # confidence 92.6 and 76.1.
    "shared": OracleRecipe(
        head="mlp",
        class_head=True,
        labels="heldout",
        corrupted_share=0.5,
        kinds=TRAINING_MIX,
        heldout_repeats=1,
        epochs=20,
        learning_rate=3e-3,
        backbone="shared",
        optimizer="adam",
    ),
}
