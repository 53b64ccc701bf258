"""What the wrapped classifier wants to see: given by flags, by a file, by a preset, or read from the graph.

The pixels that everybody outside sees are RGB or grey, uint8 (N, H, W, C); what is decided here is how the graph in
front of the classifier makes its input of them. Nothing is assumed in silence: `InputSpec.assumed` says what was.
"""

import json
import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from training.classifier.network import data_config
from trust.preprocess import Preprocess

ChannelOrder = Literal["rgb", "bgr"]
Layout = Literal["nchw", "nhwc"]

_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, config=_STRICT)
class PreprocessOptions:
    """How an image becomes the classifier's input; what is not given comes from preset or file, then from the graph."""

    preprocess: str | None = None
    """A preset (unit: pixels in [0, 1]; imagenet: torchvision's; raw: 0 to 255; symmetric: -1 to 1), timm:NAME for
    what that model was made for, or a .json or .toml file with the names below."""
    input_size: tuple[int, int, int] | None = None
    """Channels, height and width; read from an ONNX graph that fixes them."""
    mean: tuple[float, ...] | None = None
    """Taken off each channel, in the order in which the classifier takes the channels."""
    std: tuple[float, ...] | None = None
    """Each channel is divided by it afterwards."""
    pixel_range: Literal[1, 255] | None = None
    """Largest value of the pixels that mean and std are meant for; 1 where not given."""
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos"] | None = None
    """Of the resize; bilinear where nothing says."""
    crop_pct: float | None = None
    """Share of the resized image that the centre crop keeps; all of it where nothing says."""
    channel_order: ChannelOrder | None = None
    """bgr for classifiers that were trained on OpenCV's images; rgb where not given."""
    layout: Layout | None = None
    """Where the channels stand; read from an ONNX graph that says."""


@dataclass(frozen=True)
class InputSpec:
    """The decision: pixels as everybody sees them, and the way from there to the classifier's input."""

    preprocess: Preprocess
    """Mean and std for RGB pixels in [0, 1], whatever order and range the classifier takes."""
    channel_order: ChannelOrder = "rgb"
    layout: Layout = "nchw"
    assumed: tuple[str, ...] = ()
    """What nobody said, as flags that would say so."""

    def describe(self) -> str:
        """One line for the terminal."""
        spec = self.preprocess
        size = " x ".join(map(str, spec.input_size))
        order = f"{self.channel_order.upper()}, " if spec.input_size[0] == 3 else ""
        return (
            f"{order}{size} ({self.layout.upper()}), mean {_numbers(spec.mean)}, std {_numbers(spec.std)} of pixels "
            f"in [0, 1], {spec.interpolation} resize, crop {spec.crop_pct:g}"
        )


PRESETS: dict[str, dict[str, Any]] = {
    "unit": {"mean": (0.0,), "std": (1.0,)},
    "imagenet": {
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
        "interpolation": "bilinear",
        "crop_pct": 0.875,
    },
    "raw": {"mean": (0.0,), "std": (1.0,), "pixel_range": 255},
    "symmetric": {"mean": (0.5,), "std": (0.5,)},
}


def with_preset(options: PreprocessOptions) -> PreprocessOptions:
    """The options with what their preset or file says filled in; a flag wins over it.

    Raises:
        ValueError: no such preset or file, or a file with other names or values than the flags have.
    """
    if options.preprocess is None:
        return options
    given = {name: value for name, value in asdict(options).items() if value is not None}
    # Its own mean with the preset's range would be neither of the two.
    preset = _preset(options.preprocess)
    if "mean" in given or "std" in given:
        preset.pop("pixel_range", None)
    return PreprocessOptions(**(preset | given))


def decide_input(
    options: PreprocessOptions, size: tuple[int | None, int | None, int | None], layout: Layout | None, plain: bool
) -> InputSpec:
    """What to put in front of a graph, from what was given and what the graph says of its own input.

    Args:
        options: with their preset filled in.
        size: channels, height and width as the graph fixes them, None where it does not.
        layout: as the graph's shape says, None where it does not.
        plain: the graph takes uint8 and normalises by itself.

    Raises:
        ValueError: a size nobody gives, one that contradicts the graph, or numbers that do not fit the channels.
    """
    assumed: list[str] = []
    channels, height, width = _decide_size(options.input_size, size)
    if layout and options.layout and options.layout != layout:
        raise ValueError(f"--layout {options.layout} contradicts the graph, whose input is {layout.upper()}")
    if not (layout or options.layout):
        assumed.append("--layout nchw")
    values = PRESETS["unit"]
    if not plain and options.mean is None and options.std is None:
        preset = "imagenet" if channels == 3 else "unit"
        values = PRESETS[preset]
        assumed.append(f"--preprocess {preset}")
    if channels == 3 and options.channel_order is None and not plain:
        assumed.append("--channel-order rgb")
    order = options.channel_order or "rgb"
    preprocess = Preprocess(
        input_size=(channels, height, width),
        mean=_of_channels("mean", options.mean or values["mean"], options.pixel_range or 1, channels, order),
        std=_of_channels("std", options.std or values["std"], options.pixel_range or 1, channels, order),
        interpolation=options.interpolation or values.get("interpolation", "bilinear"),
        crop_pct=options.crop_pct or values.get("crop_pct", 1.0),
    )
    return InputSpec(preprocess, order, layout or options.layout or "nchw", tuple(assumed))


def _preset(name: str) -> dict[str, Any]:
    if name in PRESETS:
        return dict(PRESETS[name])
    if name.startswith("timm:"):
        config = data_config(name.removeprefix("timm:"), None)
        return config.model_dump(exclude_unset=True)
    path = Path(name)
    if path.suffix not in (".json", ".toml"):
        raise ValueError(f"--preprocess {name} is unknown; wanted {', '.join(PRESETS)}, timm:NAME, or a .json or .toml")
    if not path.is_file():
        raise ValueError(f"--preprocess {name}: no such file")
    try:
        read = tomllib.loads(path.read_text()) if path.suffix == ".toml" else json.loads(path.read_text())
        found = TypeAdapter(PreprocessOptions).validate_python(read)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        names = ", ".join(list(PreprocessOptions.__dataclass_fields__)[1:])
        raise ValueError(f"{path}: {where}: {first['msg']}; it may hold {names}") from error
    except ValueError as error:
        raise ValueError(f"{path} is no {path.suffix[1:].upper()}: {error}") from error
    return {name: value for name, value in asdict(with_preset(found)).items() if value is not None}


def _decide_size(
    given: tuple[int, int, int] | None, graph: tuple[int | None, int | None, int | None]
) -> tuple[Literal[1, 3], int, int]:
    wanted = given or (None, None, None)
    if any(mine and its and mine != its for mine, its in zip(wanted, graph, strict=True)):
        raise ValueError(
            f"--input-size {_numbers(wanted)} contradicts the graph, which takes {_numbers(graph)} (? is free)"
        )
    size = [mine or its for mine, its in zip(wanted, graph, strict=True)]
    # Only RGB and grey exist here, and RGB is what a graph with free channels nearly always takes.
    channels, height, width = size
    if not (channels and height and width):
        raise ValueError(
            f"the classifier does not fix its input size ({_numbers(size)}); give --input-size CHANNELS HEIGHT WIDTH"
        )
    if channels not in (1, 3):
        raise ValueError(f"the classifier takes {channels} channels; wanted 1 (grey) or 3 (RGB)")
    return (1 if channels == 1 else 3), height, width


def _of_channels(
    name: str, values: tuple[float, ...], pixel_range: int, channels: int, order: ChannelOrder
) -> tuple[float, ...]:
    """One number a channel, for RGB pixels in [0, 1]."""
    if len(values) not in (1, channels):
        raise ValueError(f"{name} has {len(values)} numbers; the classifier takes {channels} channels")
    if pixel_range == 1 and max(values) > 1:
        raise ValueError(f"{name} {_numbers(values)} is above 1; give --pixel-range 255 if it is of pixels up to 255")
    if name == "std" and min(values) <= 0:
        raise ValueError(f"std {_numbers(values)} must be above 0")
    scaled = tuple(value / pixel_range for value in values) * (channels if len(values) == 1 else 1)
    return scaled[::-1] if order == "bgr" else scaled


def _numbers(values: Any) -> str:
    return " ".join("?" if value is None else f"{value:.4g}" for value in values)
