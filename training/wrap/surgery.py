"""What is put in front of a classifier's graph and behind it, so that every bundle's graph looks alike from outside.

In front: `image`, uint8 (N, H, W, C), becomes what the classifier takes. Behind: its scores become `logits` and
`probabilities`, both (N, K), and an internal tensor `features`, (N, D). All tensors of the classifier itself carry the
prefix `model/`, so that no name of its owner's can be one of these.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnx.compose
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from training.wrap.batch import BATCH, free_batch
from training.wrap.preprocessing import InputSpec, Layout

IMAGE, LOGITS, PROBABILITIES, FEATURES = "image", "logits", "probabilities", "features"
TEMPERATURE = "temperature"
PREFIX = "model/"
LEAST_PROBABILITY = 1e-7
"""Smaller ones have no logarithm that float32 probabilities could vouch for."""

FLOATS = {TensorProto.FLOAT: "float32", TensorProto.FLOAT16: "float16", TensorProto.DOUBLE: "float64"}


@dataclass(frozen=True)
class ModelInput:
    """The one input of a classifier's graph, as the graph describes it."""

    name: str
    element: int
    shape: tuple[int | None, ...]
    """First the number of images; None where free."""

    @property
    def layout(self) -> Layout | None:
        """Where one or three channels stand, if the shape says it beyond doubt."""
        if len(self.shape) != 4:
            return "nchw"
        first, last = self.shape[1] in (1, 3), self.shape[3] in (1, 3)
        return None if first == last else "nchw" if first else "nhwc"

    def size(self, layout: Layout) -> tuple[int | None, int | None, int | None]:
        """Channels, height and width, None where free; of a flat input only the owner knows."""
        if len(self.shape) == 2:
            return None, None, None
        if len(self.shape) == 3:
            return 1, self.shape[1], self.shape[2]
        _, first, second, third = self.shape
        return (first, second, third) if layout == "nchw" else (third, first, second)


def describe_input(model: ModelProto) -> ModelInput:
    """The input that takes the images.

    Raises:
        ValueError: there are several, or it is no tensor of images.
    """
    constants = {each.name for each in model.graph.initializer}
    inputs = [each for each in model.graph.input if each.name not in constants]
    if len(inputs) != 1:
        names = ", ".join(each.name for each in inputs) or "none"
        raise ValueError(f"the classifier has {len(inputs)} inputs ({names}); wanted one, the images")
    tensor = inputs[0].type.tensor_type
    shape = tuple(each.dim_value if each.dim_value > 0 else None for each in tensor.shape.dim)
    kinds = {**FLOATS, TensorProto.UINT8: "uint8"}
    if tensor.elem_type not in kinds or not 2 <= len(shape) <= 4:
        found = TensorProto.DataType.Name(tensor.elem_type).lower()
        raise ValueError(
            f"the classifier's input {inputs[0].name} is {found} of {len(shape)} dimensions; wanted "
            f"{', '.join(kinds.values())} of 4 (images), 3 (grey images) or 2 (flat ones)"
        )
    return ModelInput(inputs[0].name, tensor.elem_type, shape)


def take_pixels(model: ModelProto, spec: InputSpec) -> ModelProto:
    """A copy of the classifier's graph that takes `image`; its own outputs are left, named `model/...`."""
    found = describe_input(model)
    model = onnx.compose.add_prefix(model, PREFIX)
    # A constant that is listed as an input may be overridden, which nobody here does.
    name, graph = PREFIX + found.name, model.graph
    free_batch(model, name)
    front = [*_front(found, spec, name)]
    nodes = [each for each in front if isinstance(each, NodeProto)]
    graph.initializer.extend(each for each in front if isinstance(each, TensorProto))
    nodes.extend(graph.node)
    del graph.node[:], graph.input[:]
    graph.node.extend(nodes)
    channels, height, width = spec.preprocess.input_size
    graph.input.append(helper.make_tensor_value_info(IMAGE, TensorProto.UINT8, [BATCH, height, width, channels]))
    model.ir_version = max(model.ir_version, 4)
    return model


def _front(found: ModelInput, spec: InputSpec, name: str) -> Iterable[NodeProto | TensorProto]:
    channels, height, width = spec.preprocess.input_size
    steps = _Chain("front", IMAGE)
    if found.element != TensorProto.UINT8:
        yield from steps.then("Cast", to=TensorProto.FLOAT)
        yield from steps.then("Sub", 255 * np.array(spec.preprocess.mean, np.float32))
        yield from steps.then("Div", 255 * np.array(spec.preprocess.std, np.float32))
    if spec.channel_order == "bgr":
        yield from steps.then("Gather", np.array([2, 1, 0]), axis=3)
    if spec.layout == "nchw":
        yield from steps.then("Transpose", perm=[0, 3, 1, 2])
    if len(found.shape) == 3:
        yield from steps.then("Reshape", np.array([-1, height, width]))
    if len(found.shape) == 2:
        yield from steps.then("Reshape", np.array([-1, channels * height * width]))
    if found.element not in (TensorProto.FLOAT, TensorProto.UINT8):
        yield from steps.then("Cast", to=found.element)
    yield helper.make_node("Identity", [steps.tensor], [name])


def give_logits(
    model: ModelProto, output: str, gives: Literal["logits", "probabilities"], temperature: float = 1.0
) -> None:
    """Makes `logits` and `probabilities` of one of the classifier's outputs; the model has these two alone then.

    Args:
        model: from `take_pixels`; changed.
        output: the classifier's name of the tensor, (N, K) or (N, K, 1, 1).
        gives: what the tensor holds; of probabilities the logarithm is the logits.
        temperature: of the probabilities; `set_temperature` changes it later.
    """
    logits = _Chain("back", PREFIX + output)
    nodes = [*logits.then("Cast", to=TensorProto.FLOAT), *logits.then("Flatten", axis=1)]
    if gives == "probabilities":
        least, most = np.array(LEAST_PROBABILITY, np.float32), np.array(1.0, np.float32)
        nodes += [*logits.then("Clip", least, most), *logits.then("Log")]
    nodes.append(helper.make_node("Identity", [logits.tensor], [LOGITS]))
    model.graph.initializer.append(numpy_helper.from_array(np.array(temperature, np.float32), TEMPERATURE))
    nodes.append(helper.make_node("Div", [LOGITS, TEMPERATURE], ["scaled_logits"]))
    nodes.append(helper.make_node("Softmax", ["scaled_logits"], [PROBABILITIES], axis=1))
    del model.graph.output[:]
    _append(model.graph, nodes, (LOGITS, PROBABILITIES))


@dataclass(frozen=True)
class Layer:
    """A tensor inside the classifier that features are made of."""

    name: str
    dimensions: int
    """2: (N, D) as it is; more: averaged over all places of (N, C, H, W) or (N, H, W, C), all tokens of (N, T, D)."""
    channels_last: bool


def give_features(model: ModelProto, layers: Sequence[Layer]) -> None:
    """Makes tensors inside the classifier, one beside the other, the output `features`, (N, D); changes the model."""
    nodes: list[NodeProto | TensorProto] = []
    pooled = []
    for number, layer in enumerate(layers):
        chain = _Chain(f"pooled/{number}", PREFIX + layer.name)
        nodes += chain.then("Cast", to=TensorProto.FLOAT)
        if layer.dimensions > 2:
            if layer.channels_last:
                nodes += chain.then("Transpose", perm=[0, layer.dimensions - 1, *range(1, layer.dimensions - 1)])
            nodes += chain.then("GlobalAveragePool")
        nodes += chain.then("Flatten", axis=1)
        pooled.append(chain.tensor)
    nodes.append(helper.make_node("Concat", pooled, [FEATURES], axis=1))
    _append(model.graph, nodes, (FEATURES,))


def set_temperature(model: ModelProto, temperature: float) -> ModelProto:
    """A copy of the graph whose `probabilities` have this temperature."""
    changed = ModelProto()
    changed.CopyFrom(model)
    tensor = next(each for each in changed.graph.initializer if each.name == TEMPERATURE)
    tensor.CopyFrom(numpy_helper.from_array(np.array(temperature, np.float32), TEMPERATURE))
    return changed


def _append(graph: GraphProto, parts: Sequence[NodeProto | TensorProto], outputs: Iterable[str]) -> None:
    graph.node.extend(each for each in parts if isinstance(each, NodeProto))
    graph.initializer.extend(each for each in parts if isinstance(each, TensorProto))
    graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, [BATCH, None]) for name in outputs)


class _Chain:
    """Nodes one after the other; `tensor` is what the last of them gives."""

    def __init__(self, name: str, tensor: str) -> None:
        self._name, self.tensor = name, tensor
        self._count = 0

    def then(self, operator: str, *constants: Any, **attributes: Any) -> Iterable[NodeProto | TensorProto]:
        """The next node and its constants."""
        self._count += 1
        result = f"{self._name}/{self._count}-{operator.lower()}"
        tensors = [numpy_helper.from_array(each, f"{result}/{i}") for i, each in enumerate(constants)]
        inputs, self.tensor = [self.tensor, *(each.name for each in tensors)], result
        return [*tensors, helper.make_node(operator, inputs, [result], name=result, **attributes)]
