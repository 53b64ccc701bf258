"""A frozen classifier as its owner keeps it, read as an ONNX model: images in some float layout in, scores out."""

import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx.inliner
import onnx.version_converter
import timm
import torch
from onnx import ModelProto, TensorProto
from torch import Tensor, nn

from training.bundle.graphs import export_network
from training.classifier.network import Classifier, build_backbone
from training.wrap.preprocessing import InputSpec, PreprocessOptions, decide_input
from training.wrap.surgery import describe_input
from training.wrap.torchscript import export_torchscript
from trust.preprocess import Preprocess

TIMM = "timm:"
OUTPUT, FEATURES = "output", "features"
OLDEST_OPSET = 13
"""Older graphs are converted: Softmax meant something else before, and Squeeze had other inputs."""

_CONVERT = {
    ".h5": "python -m tf2onnx.convert --keras MODEL --output classifier.onnx",
    ".keras": "model.export('classifier.onnx', format='onnx')",
    ".tflite": "python -m tf2onnx.convert --tflite MODEL --output classifier.onnx",
    ".pb": "python -m tf2onnx.convert --saved-model FOLDER --output classifier.onnx",
    ".safetensors": "for a timm backbone: trustserve-train wrap timm:NAME --weights FILE",
}
"""The way out for what cannot be read here."""


@dataclass(frozen=True)
class Source:
    """The classifier's own graph, and what only its owner's format knew."""

    model: ModelProto
    kind: str
    output: str | None = None
    features: str | None = None
    """Tensors with the scores and before the last layer, where the format says which."""


def read_source(classifier: str, weights: Path | None, options: PreprocessOptions) -> Source:
    """The classifier of a file, or of a timm checkpoint.

    Args:
        classifier: an .onnx file, a TorchScript file, or `timm:NAME` with its weights.
        weights: checkpoint of a timm backbone.
        options: with preset filled in; a format that does not know its input size needs it.

    Raises:
        ValueError: it cannot be read, naming what can.
    """
    if classifier.startswith(TIMM):
        return _read_checkpoint(classifier.removeprefix(TIMM), weights, options)
    if weights is not None:
        raise ValueError(f"--weights belongs to timm:NAME; {classifier} holds its own")
    path = Path(classifier)
    if path.suffix in _CONVERT:
        raise ValueError(f"{classifier} cannot be read; make an ONNX graph of it first: {_CONVERT[path.suffix]}")
    if not path.is_file():
        raise ValueError(f"classifier {classifier}: no such file; wanted an .onnx file, TorchScript, or timm:NAME")
    if path.suffix == ".onnx":
        return Source(_read_onnx(path), "ONNX")
    return _read_torchscript(path, options)


def decide_source_input(source: Source, options: PreprocessOptions) -> InputSpec:
    """What this classifier is to be shown: given, or as its graph says, or assumed.

    Raises:
        ValueError: as `describe_input` and `decide_input`.
    """
    found = describe_input(source.model)
    size = found.size(found.layout or options.layout or "nchw")
    return decide_input(options, size, found.layout, plain=found.element == TensorProto.UINT8)


def opset_of(model: ModelProto) -> int:
    """Version of the standard operators that a graph is written in."""
    return next((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), OLDEST_OPSET)


def _read_onnx(path: Path) -> ModelProto:
    try:
        model = onnx.load(path, load_external_data=False)
    # The parser of protobuf raises a class that depends on how protobuf was built.
    except Exception as error:
        raise ValueError(f"{path} is no ONNX model: {error}") from error
    try:
        onnx.load_external_data_for_model(model, str(path.parent))
    except (onnx.checker.ValidationError, OSError, ValueError) as error:
        raise ValueError(f"{path} keeps its weights in another file: {error}; put that beside the graph") from error
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    return model if opset_of(model) >= OLDEST_OPSET else _newer(path, model)


def _newer(path: Path, model: ModelProto) -> ModelProto:
    try:
        return onnx.version_converter.convert_version(model, OLDEST_OPSET)
    except Exception as error:
        raise ValueError(
            f"{path} is of opset {opset_of(model)} and cannot be converted to {OLDEST_OPSET}: {error}; export it again"
        ) from error


def _read_torchscript(path: Path, options: PreprocessOptions) -> Source:
    try:
        module = torch.jit.load(path, map_location="cpu").eval()
    except (RuntimeError, ValueError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} is not TorchScript; weights alone have no network: give timm:NAME --weights {path} for a timm "
            "backbone, or make an ONNX graph of yours with torch.onnx.export"
        ) from error
    if options.input_size is None:
        raise ValueError(f"{path}: TorchScript does not say its input size; give --input-size CHANNELS HEIGHT WIDTH")
    return Source(export_torchscript(module, options.input_size, options.layout or "nchw"), "TorchScript")


def _read_checkpoint(name: str, weights: Path | None, options: PreprocessOptions) -> Source:
    if weights is None:
        raise ValueError(f"timm:{name} needs its weights; give --weights FILE")
    if not weights.is_file():
        raise ValueError(f"--weights {weights}: no such file")
    assert options.input_size is not None, "timm's data config always has a size"
    channels, height, width = options.input_size
    if height != width:
        raise ValueError(f"timm:{name} needs a square input; --input-size is {height} x {width}")
    state = timm.models.load_state_dict(str(weights), weights_only=True)
    classes = _classes_of(name, channels, state, weights)
    backbone = build_backbone(name, classes, channels, height, weights=weights)
    unit = Preprocess(input_size=(1 if channels == 1 else 3, height, width), mean=(0.0,), std=(1.0,))
    network = _WithFeatures(Classifier(backbone, unit)).eval()
    model = export_network(network, (torch.rand(2, *options.input_size),), ("input",), (OUTPUT, FEATURES))
    return Source(model, "timm checkpoint", OUTPUT, FEATURES)


def _classes_of(name: str, channels: int, state: dict[str, Tensor], weights: Path) -> int:
    """K of the checkpoint's last layer: with another K it would be left as initialised, and answer at random."""
    backbone = build_backbone(name, 2, channels)
    last = backbone.get_classifier()  # type: ignore[operator]
    names = {name for name, value in backbone.state_dict().items() if value.data_ptr() == last.weight.data_ptr()}
    if not names & state.keys():
        raise ValueError(f"{weights} has no last layer {'/'.join(sorted(names))}: it is no classifier's checkpoint")
    return len(state[min(names & state.keys())])


class _WithFeatures(nn.Module):
    """Normalised images (N, C, H, W) -> logits (N, K), features (N, D)."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.classifier.features(images)
        return self.classifier.logits_of(features), features
