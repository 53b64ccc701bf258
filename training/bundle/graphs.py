"""Classifier and oracle as ONNX graphs that take uint8 pixels, checked against torch through onnxruntime."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import ModelProto
from torch import Tensor, nn

from training.data.images import to_images
from training.oracle.shared import SharedOracle, WithSharedOracle
from training.pair import Pair
from trust.manifest import CLASSIFIER, ORACLE
from trust.preprocess import Pixels

PARITY_TOLERANCE = 1e-4
"""Largest difference of logits between torch and onnxruntime."""
_OPSET = 20


class ExportError(Exception):
    """What was exported does not say what was trained; nothing was replaced."""


def write_graphs(folder: Path, pair: Pair, pixels: Pixels) -> dict[str, tuple[str, ...]]:
    """Writes `classifier.onnx` and, for an oracle of its own, `oracle.onnx`; returns the names of their outputs.

    Args:
        folder: where to.
        pair: on the CPU; its first oracle is written, where there is one.
        pixels: (2, H, W, C) uint8, to trace with.
    """
    example = torch.from_numpy(pixels)
    outputs = {}
    for file, network in _networks(pair).items():
        with torch.inference_mode():
            outputs[file] = tuple(network(to_images(pixels, torch.device("cpu"))))
        model = export_network(_FromPixels(network).eval(), (example,), ("image",), outputs[file])
        onnx.save(model, folder / file)
    return outputs


def export_network(
    network: nn.Module,
    example: tuple[Tensor, ...],
    input_names: Sequence[str],
    output_names: Sequence[str],
    opset: int = _OPSET,
) -> ModelProto:
    """The graph of a network, traced with one batch of each of its inputs; the number of images is left free.

    Raises:
        ExportError: torch wrote none.
    """
    program = torch.onnx.export(
        network,
        example,
        input_names=list(input_names),
        output_names=list(output_names),
        dynamic_shapes=tuple({0: torch.export.Dim("N")} for _ in example),
        opset_version=opset,
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    if program is None:
        raise ExportError(f"torch wrote no graph with {', '.join(output_names)}")
    model = program.model_proto
    strip_traces(model)
    onnx.checker.check_model(model)
    return model


def check_parity(folder: Path, pair: Pair, pixels: Pixels) -> dict[str, float]:
    """Largest difference of each output between torch and onnxruntime over these images, (N, H, W, C) uint8.

    Raises:
        ExportError: that of a logit is above the tolerance.
    """
    wanted = pair.served([pixels])
    found: dict[str, NDArray[np.float32]] = {}
    for file in _networks(pair):
        session = onnxruntime.InferenceSession(str(folder / file), providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        found |= dict(zip(names, session.run(names, {"image": np.ascontiguousarray(pixels)}), strict=True))
    parity = {name: float(np.abs(found[name] - wanted[name]).max()) for name in found}
    for name in ("logits", "oracle_logit", "oracle_class_logits"):
        if parity.get(name, 0.0) > PARITY_TOLERANCE:
            raise ExportError(
                f"{name} differs by {parity[name]:.2e} between torch and onnxruntime over {len(pixels)} images; "
                f"wanted at most {PARITY_TOLERANCE:g}"
            )
    return parity


def _networks(pair: Pair) -> dict[str, nn.Module]:
    """What each graph is made of; an oracle on the classifier's own features is part of the classifier's graph."""
    oracle = next(iter(pair.oracles.values()), None)
    if oracle is None:
        return {CLASSIFIER: pair.classifier}
    if isinstance(oracle, SharedOracle):
        return {CLASSIFIER: WithSharedOracle(pair.classifier, oracle)}
    return {CLASSIFIER: pair.classifier, ORACLE: oracle}


class _FromPixels(nn.Module):
    """Puts pixels (N, H, W, C) uint8 in front of a network that takes images; outputs as a tuple."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.network(image.permute(0, 3, 1, 2).float() / 255).values())


def strip_traces(model: ModelProto) -> None:
    """Takes out the exporter's notes: they hold stack traces with paths of this machine."""
    del model.metadata_props[:]
    for graph in [model.graph, *model.functions]:
        for node in graph.node:
            del node.metadata_props[:]
            node.doc_string = ""
        for value in [*graph.value_info, *(() if graph is not model.graph else (*graph.input, *graph.output))]:
            del value.metadata_props[:]
