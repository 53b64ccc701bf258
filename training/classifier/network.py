"""The classifier that the oracle will judge: a small residual network, or any timm backbone by name.

Every network here has timm's interface: `forward_features`, `forward_head(..., pre_logits=True)`, `get_classifier`,
`num_features`. `Classifier` puts normalisation in front, so that everything outside speaks pixels in [0, 1].
"""

from pathlib import Path
from typing import Any, cast

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trust.preprocess import Preprocess

SMALL_RESNET = "small_resnet"


class Classifier(nn.Module):
    """Pixels in [0, 1], (N, C, H, W) -> logits (N, K), with the features before the last layer at hand.

    Args:
        backbone: with timm's interface.
        preprocess: its mean and std are applied here.
        dropout: of the features on their way into the last layer, while training; something for Monte-Carlo dropout
            to drop, on top of what the backbone itself may drop.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: nn.Module, preprocess: Preprocess, dropout: float = 0.0) -> None:
        super().__init__()
        self.backbone = backbone
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.register_buffer("mean", torch.tensor(preprocess.mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(preprocess.std).view(1, -1, 1, 1))
        # On a CPU convolutions run 1.3 times as fast in training, and twice in evaluation, as in torch's own order.
        self.to(memory_format=torch.channels_last)

    def features(self, images: Tensor) -> Tensor:
        """Pooled features before the last layer, (N, D)."""
        maps = self.backbone.forward_features((images - self.mean) / self.std)  # type: ignore[operator]
        return cast(Tensor, self.backbone.forward_head(maps, pre_logits=True))  # type: ignore[operator]

    def logits_of(self, features: Tensor) -> Tensor:
        """Last layer, (N, D) -> (N, K)."""
        return cast(Tensor, self.last_layer(self.dropout(features)))

    def forward(self, images: Tensor) -> Tensor:
        """Logits, (N, K)."""
        return self.logits_of(self.features(images))

    @property
    def last_layer(self) -> nn.Linear:
        """From features to logits."""
        return cast(nn.Linear, self.backbone.get_classifier())  # type: ignore[operator]

    @property
    def feature_count(self) -> int:
        """D."""
        return self.last_layer.in_features

    @property
    def classes(self) -> int:
        """K."""
        return self.last_layer.out_features

    @property
    def channels(self) -> int:
        """C."""
        return self.mean.shape[1]


def build_backbone(
    name: str,
    classes: int,
    channels: int,
    image_size: int | None = None,
    pretrained: bool = False,
    weights: Path | None = None,
) -> nn.Module:
    """A network by name, `small_resnet` or timm's, with a fresh last layer of `classes` outputs.

    Args:
        name: `small_resnet` or a name from `timm.list_models()`.
        classes: number of outputs K.
        channels: 1 (grey) or 3 (RGB).
        image_size: side of the input in pixels, for networks built for one size (vision transformers).
        pretrained: load timm's published weights, where the machine can reach them.
        weights: local checkpoint instead; a last layer of another size is left as initialised.

    Raises:
        ValueError: unknown name, weights that cannot be had, or a checkpoint that does not fit the network.
    """
    if name == SMALL_RESNET:
        backbone: nn.Module = SmallResNet(classes, channels)
    else:
        _check_name(name)
        options: dict[str, Any] = {"num_classes": classes, "in_chans": channels}
        if image_size and getattr(timm.get_pretrained_cfg(name), "fixed_input_size", False):
            options["img_size"] = image_size
        backbone = _create(name, pretrained, options)
    if weights is not None:
        load_weights(backbone, weights)
    return backbone


def load_weights(backbone: nn.Module, weights: Path) -> None:
    """Loads a local checkpoint into a backbone, but for a last layer of another size.

    Raises:
        ValueError: the checkpoint does not fit the network.
    """
    state = timm.models.load_state_dict(str(weights), weights_only=True)
    own = backbone.state_dict()
    last = backbone.get_classifier()  # type: ignore[operator]
    last_layer = {name for name in own for p in last.parameters() if own[name].data_ptr() == p.data_ptr()}
    fitting = {name: value for name, value in state.items() if name in own and own[name].shape == value.shape}
    if missing := own.keys() - fitting.keys() - last_layer:
        raise ValueError(f"{weights} does not fit this backbone: {len(missing)} tensors missing, first {min(missing)}")
    backbone.load_state_dict(fitting, strict=False)


def data_config(name: str, image_size: int | None) -> Preprocess:
    """RGB preprocessing that the backbone was made for (timm's data config), or a plain one for `small_resnet`.

    Raises:
        ValueError: unknown name.
    """
    if name == SMALL_RESNET:
        side = image_size or 64
        return Preprocess(input_size=(3, side, side), mean=(0.5,) * 3, std=(0.25,) * 3)
    _check_name(name)
    # Asked of the network itself, but without room for its weights.
    with torch.device("meta"):
        network = timm.create_model(name, pretrained=False)
    config = timm.data.resolve_data_config(model=network)  # type: ignore[attr-defined]
    side = image_size or config["input_size"][1]
    return Preprocess(
        input_size=(3, side, side),
        mean=config["mean"],
        std=config["std"],
        interpolation=config["interpolation"],
        crop_pct=config["crop_pct"],
    )


class SmallResNet(nn.Module):
    """Three residual stages after a strided stem: for images of some 28 x 28 pixels.

    Args:
        classes: K.
        channels: C.
        widths: channels after the stem and each stage; the default has 0.3 M parameters.
    """

    def __init__(self, classes: int, channels: int, widths: tuple[int, int, int, int] = (16, 32, 64, 128)) -> None:
        super().__init__()
        self.num_features = widths[-1]
        self.stem = nn.Sequential(*_conv_norm(channels, widths[0], kernel=3, stride=2), nn.ReLU())
        self.stages = nn.Sequential(
            *(
                _Residual(inputs, outputs, stride)
                for inputs, outputs, stride in zip(widths[:-1], widths[1:], (1, 2, 2), strict=True)
            )
        )
        self.head = nn.Linear(self.num_features, classes)

    def forward_features(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, D, H / 8, W / 8)."""
        return cast(Tensor, self.stages(self.stem(images)))

    def forward_head(self, maps: Tensor, pre_logits: bool = False) -> Tensor:
        """Pooled features (N, D), or logits (N, K)."""
        features = maps.mean((2, 3))
        return features if pre_logits else cast(Tensor, self.head(features))

    def get_classifier(self) -> nn.Module:
        """The last layer."""
        return self.head


class _Residual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_conv_norm(inputs, outputs, kernel=3, stride=stride), nn.ReLU(), *_conv_norm(outputs, outputs, kernel=3)
        )
        self.shortcut = nn.Sequential(*_conv_norm(inputs, outputs, kernel=1, stride=stride))

    def forward(self, maps: Tensor) -> Tensor:
        return F.relu(self.body(maps) + self.shortcut(maps))


def _conv_norm(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
    ]


def _check_name(name: str) -> None:
    if not timm.is_model(name):
        near = ", ".join(timm.list_models(f"*{name.split('_')[0]}*")[:5]) or "none"
        raise ValueError(f"backbone {name!r} is neither {SMALL_RESNET} nor a timm model; near: {near}")


def _create(name: str, pretrained: bool, options: dict[str, Any]) -> nn.Module:
    try:
        return timm.create_model(name, pretrained=pretrained, **options)
    # Hubs fail in many ways, and none of their messages says what to do.
    except Exception as error:
        if not pretrained:
            raise
        raise ValueError(
            f"pretrained weights of {name} cannot be loaded here ({type(error).__name__}); give --weights FILE"
        ) from error
