"""Heads and novelty as part of the classifier's own graph: one file, one run, no features leave it for them."""

import onnx
import onnx.compose
import onnx.version_converter
import torch
from onnx import ModelProto
from torch import Tensor, nn

from training.bundle.graphs import export_network
from training.novelty import Novelty
from training.oracle.shared import SharedOracle
from training.wrap.frozen import FrozenClassifier, Outputs
from training.wrap.source import opset_of
from training.wrap.surgery import FEATURES, IMAGE
from trust.preprocess import Pixels

HEAD_OPSET = 18
"""Oldest that the heads' operators come in; an older classifier is converted to it."""
_PREFIX = "oracle/"
_OUTPUTS = ("novelty", "oracle_logit", "oracle_class_logits")


def add_heads(
    classifier: FrozenClassifier, heads: SharedOracle, novelty: Novelty, pixels: Pixels
) -> tuple[FrozenClassifier, Outputs]:
    """The classifier with heads among its outputs, and what it should say of the pixels.

    They are `novelty` (N,), `oracle_logit` (N,) and `oracle_class_logits` (N, K).

    Args:
        classifier: with features.
        heads, novelty: on the CPU, fitted to it.
        pixels: (n, H, W, C) uint8, to trace with and to compare on.

    Raises:
        ValueError: the classifier's graph is too old for the heads and cannot be converted.
    """
    outputs = classifier.run(pixels)
    example = tuple(torch.from_numpy(each) for each in (pixels, outputs[FEATURES]))
    network = _Heads(heads, novelty).eval()
    with torch.inference_mode():
        wanted = dict(zip(_OUTPUTS, (each.numpy() for each in network(*example)), strict=True))
    added = export_network(network, tuple(each[:2] for each in example), (IMAGE, FEATURES), _OUTPUTS, opset=HEAD_OPSET)
    merged = _merge(classifier.model, added)
    return FrozenClassifier(merged, classifier.threads), outputs | wanted


def _merge(classifier: ModelProto, added: ModelProto) -> ModelProto:
    """One graph of both, where the added one's inputs are the classifier's own tensors."""
    opset = max(opset_of(classifier), HEAD_OPSET)
    added = _convert(added, opset)
    merged = ModelProto()
    merged.CopyFrom(_convert(classifier, opset))
    added = onnx.compose.add_prefix(added, _PREFIX)
    shared = {_PREFIX + name: name for name in (IMAGE, FEATURES)}
    own = {_PREFIX + name: name for name in _OUTPUTS}
    for node in added.graph.node:
        node.input[:] = [shared.get(name, name) for name in node.input]
        node.output[:] = [own.get(name, name) for name in node.output]
    for output in added.graph.output:
        output.name = own[output.name]
    merged.graph.node.extend(added.graph.node)
    merged.graph.initializer.extend(added.graph.initializer)
    merged.graph.output.extend(added.graph.output)
    merged.ir_version = max(merged.ir_version, added.ir_version)
    onnx.checker.check_model(merged)
    return merged


def _convert(model: ModelProto, opset: int) -> ModelProto:
    if opset_of(model) == opset:
        return model
    try:
        return onnx.version_converter.convert_version(model, opset)
    except Exception as error:
        raise ValueError(
            f"the classifier's graph of opset {opset_of(model)} cannot be converted to {opset}, which heads on its "
            f"features need ({error}); export it with opset {HEAD_OPSET} or newer, or wrap it with --features none"
        ) from error


class _Heads(nn.Module):
    """Pixels (N, H, W, C) uint8 with the classifier's features of them; outputs as a tuple."""

    def __init__(self, heads: SharedOracle, novelty: Novelty) -> None:
        super().__init__()
        self.heads, self.novelty = heads, novelty

    def forward(self, image: Tensor, features: Tensor) -> tuple[Tensor, ...]:
        images = image.permute(0, 3, 1, 2).float() / 255
        outputs = {"novelty": self.novelty(images, features), **self.heads(features)}
        return tuple(outputs[name] for name in _OUTPUTS)
