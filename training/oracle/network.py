"""The oracle: a network of its own that learns when the classifier is right, and what was right.

Two heads: the steep slope head gives one logit, above 0 "trust this prediction" (Luo et al., 2021); the class head
names the class itself, trained on corrupted images, so that its log-odds of the classifier's answer are a second
opinion that survives shift. The encoder below them starts as a copy of the classifier, or is another architecture.
"""

import copy
import dataclasses
from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from training.classifier.network import SMALL_RESNET, Classifier, build_backbone, data_config
from training.oracle.heads import slope_head
from training.oracle.recipes import OracleRecipe
from training.oracle.shared import SharedOracle
from trust.preprocess import Preprocess


class Oracle(nn.Module):
    """Images (N, C, H, W) in [0, 1] -> oracle_logit (N,) and, with a class head, oracle_class_logits (N, K).

    Args:
        classifier: not changed; gives a copy of itself, or its number of classes and channels.
        recipe: which encoder and heads.

    Raises:
        ValueError: an unknown architecture, or published weights that cannot be had.
    """

    def __init__(self, classifier: Classifier, recipe: OracleRecipe) -> None:
        super().__init__()
        # The classifier is frozen; its copy is to learn.
        other = recipe.architecture is not None
        self.network = _other_encoder(classifier, recipe) if other else copy.deepcopy(classifier)
        self.network.requires_grad_(True)
        self.side = _own_side(recipe)
        self.slope_head = slope_head(recipe.head, self.network.feature_count)
        self.has_class_head = recipe.class_head
        self.still = False
        if recipe.backbone == "frozen":
            self.freeze_encoder()

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Named outputs, as the exported graph gives them."""
        if self.side is not None and images.shape[-1] != self.side:
            images = F.interpolate(images, size=(self.side, self.side), mode="bilinear", align_corners=False)
        features = self.network.features(images)
        outputs = {"oracle_logit": self.slope_head(features).squeeze(1)}
        if self.has_class_head:
            outputs["oracle_class_logits"] = self.network.logits_of(features)
        return outputs

    def freeze_encoder(self) -> None:
        """Leaves the heads alone to learn; dropout and batch statistics of the encoder stand still."""
        self.network.requires_grad_(False)
        self.network.last_layer.requires_grad_(self.has_class_head)
        self.still = True

    def free_encoder(self) -> None:
        """Lets a frozen encoder learn, its dropout and batch statistics still standing (Corbiere et al., 2019)."""
        self.network.requires_grad_(True)

    def train(self, mode: bool = True) -> "Oracle":
        """As of any module, but an encoder that stands still stays in evaluation mode."""
        super().train(mode)
        if self.still:
            self.network.eval()
        return self


AnyOracle = Oracle | SharedOracle


def empty_oracle(classifier: Classifier, recipe: OracleRecipe) -> AnyOracle:
    """An oracle as the recipe shapes it, to load trained weights into; nothing is fetched."""
    if recipe.backbone == "shared":
        return SharedOracle(classifier.feature_count, classifier.classes, recipe)
    return Oracle(classifier, dataclasses.replace(recipe, pretrained=False))


def _other_encoder(classifier: Classifier, recipe: OracleRecipe) -> Classifier:
    architecture = cast(str, recipe.architecture)
    spec = data_config(architecture, recipe.image_size)
    channels, classes = classifier.channels, classifier.classes
    backbone = build_backbone(architecture, classes, channels, spec.input_size[1], pretrained=recipe.pretrained)
    return Classifier(backbone, spec if channels == 3 else _grey(spec))


def _grey(spec: Preprocess) -> Preprocess:
    """The same normalisation for one channel: what a grey image would get, averaged over its three."""
    size = (1, *spec.input_size[1:])
    return spec.model_copy(update={"input_size": size, "mean": (_mean(spec.mean),), "std": (_mean(spec.std),)})


def _mean(values: tuple[float, ...]) -> float:
    return sum(values) / len(values)


def _own_side(recipe: OracleRecipe) -> int | None:
    """Side to resize to: none for a copy of the classifier, nor for the small network, which takes any."""
    if recipe.architecture is None or (recipe.architecture == SMALL_RESNET and recipe.image_size is None):
        return None
    return data_config(recipe.architecture, recipe.image_size).input_size[1]
