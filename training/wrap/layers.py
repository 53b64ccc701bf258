"""Which tensors inside a classifier's graph its features are made of: named by its owner, or found."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, ValueInfoProto

from training.wrap.frozen import open_session, run_session
from training.wrap.surgery import PREFIX, Layer
from trust.preprocess import Pixels

LAST, DEEP, NONE = "last", "deep", "none"
"""Choices beside the names of tensors."""
DEPTHS = 5
"""Layers that deep features are taken from."""

_WEIGHTED = ("Gemm", "MatMul", "Conv")


def choose_layers(model: ModelProto, output: str, wanted: str, known: str | None, pixels: Pixels) -> tuple[Layer, ...]:
    """The tensors for the features; none where nothing fits and nothing was named.

    Args:
        model: from `take_pixels`.
        output: tensor with the scores; what it is made of is looked through.
        wanted: names with commas between them, `last`, `deep` or `none`.
        known: what the last layer takes, if the owner's format says so.
        pixels: (2, H, W, C) uint8, real images to run.

    Raises:
        ValueError: a named tensor does not exist, or cannot be features.
    """
    if wanted == NONE:
        return ()
    if wanted not in (LAST, DEEP):
        return _named([name.strip() for name in wanted.split(",")], model, pixels)
    # The first layer takes but the image.
    inputs = _layer_inputs(model, PREFIX + output)
    inputs = inputs[:-1] or inputs
    names = list(dict.fromkeys([*([known] if known else []), *inputs]))
    layers = [layer for layer in _run(names, model, pixels).values() if isinstance(layer, Layer)]
    if wanted == LAST or not layers:
        return tuple(layers[:1])
    # From the last layer towards the image, in equal steps through what comes before it.
    spaced = np.linspace(0, len(layers) - 1, min(DEPTHS, len(layers))).round().astype(int)
    return tuple(layers[position] for position in spaced)


def producers_of(model: ModelProto) -> dict[str, NodeProto]:
    """The node that gives each tensor."""
    return {tensor: node for node in model.graph.node for tensor in node.output}


def _named(names: Sequence[str], model: ModelProto, pixels: Pixels) -> tuple[Layer, ...]:
    producers = producers_of(model)
    for name in names:
        if PREFIX + name not in producers:
            last = [each.removeprefix(PREFIX) for each in producers if each.startswith(PREFIX)][-8:]
            raise ValueError(f"the classifier has no tensor {name}; the last ones are {', '.join(last)}")
    layers = []
    for name, layer in _run(names, model, pixels).items():
        if not isinstance(layer, Layer):
            shape = " x ".join(map(str, layer.shape))
            raise ValueError(
                f"tensor {name} is {layer.dtype} {shape} for {len(pixels)} images; features are floats of (N, D), "
                "(N, tokens, D) or (N, C, H, W)"
            )
        layers.append(layer)
    return tuple(layers)


def _run(names: Sequence[str], model: ModelProto, pixels: Pixels) -> dict[str, "Layer | NDArray[np.generic]"]:
    """Each tensor as a layer, found by running it; its values where it can be none, as windows of images cannot."""
    if not names:
        return {}
    probe = ModelProto()
    probe.CopyFrom(model)
    del probe.graph.output[:]
    probe.graph.output.extend(ValueInfoProto(name=PREFIX + name) for name in names)
    values = run_session(open_session(probe), [PREFIX + name for name in names], pixels)
    # What is multiplied by a matrix has its channels last, what is convolved has them first.
    multiplied = {node.input[0] for node in model.graph.node if node.op_type == "MatMul"}
    found: dict[str, Layer | NDArray[np.generic]] = {}
    for name, value in zip(names, values, strict=True):
        fits = value.dtype.kind == "f" and value.ndim in (2, 3, 4) and len(value) == len(pixels)
        last = value.ndim == 3 or PREFIX + name in multiplied
        found[name] = Layer(name, value.ndim, last) if fits else value
    return found


def _layer_inputs(model: ModelProto, output: str) -> list[str]:
    """What each layer with weights takes, that nearest to the scores first."""
    weights = {each.name for each in model.graph.initializer}
    producers = producers_of(model)
    found = dict.fromkeys(
        node.input[0].removeprefix(PREFIX)
        for node in _ancestors(model, output)
        if node.op_type in _WEIGHTED and _is_weight(node.input[1], producers, weights)
    )
    return [name for name in found if PREFIX + name in producers]


def _is_weight(tensor: str, producers: dict[str, NodeProto], weights: set[str]) -> bool:
    """Whether a tensor is a constant, perhaps transposed or cast: attention multiplies two that are none."""
    while tensor in producers and producers[tensor].op_type in ("Transpose", "Cast", "Identity"):
        tensor = producers[tensor].input[0]
    return tensor in weights or (tensor in producers and producers[tensor].op_type == "Constant")


def _ancestors(model: ModelProto, tensor: str) -> Iterator[NodeProto]:
    """Nodes that a tensor is made by, the nearest first: a graph's nodes stand in the order in which they run."""
    wanted = {tensor}
    for node in reversed(model.graph.node):
        if wanted & set(node.output):
            wanted |= set(node.input)
            yield node
