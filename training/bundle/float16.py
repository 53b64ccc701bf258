"""A graph in half precision, and what that does to its answers, shown without a GPU."""

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper, shape_inference
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

_OF_THE_NETWORK = {"logits", "features", "oracle_logit", "oracle_class_logits"}


def to_float16(model: ModelProto) -> ModelProto:
    """The same graph in float16 up to its logits and features; softmax, novelty, input and outputs stay as they are.

    Novelty is a mean of logarithms of what may be close to zero: float16 has no digits there.
    """
    half = _with_named_nodes(model)
    network = _leading_to(half, _OF_THE_NETWORK)
    kept = [node.name for node in half.graph.node if node.name not in network]
    half = convert_float_to_float16(half, keep_io_types=True, node_block_list=kept)
    # Casts of what is an output and read by others too come last.
    OnnxModel(half).topological_sort()
    onnx.checker.check_model(half)
    return half


def rounded_to_float16(model: ModelProto) -> ModelProto:
    """The same graph in float32, where all that `to_float16` halves is rounded to float16 after each step.

    So a GPU computes: sums in float32, results in float16. A CPU has hardly any float16 operators: onnxruntime runs
    those of `to_float16` in float32 and shows less than is lost.
    """
    rounded = shape_inference.infer_shapes(_with_named_nodes(model))
    graph = rounded.graph
    network = _leading_to(rounded, _OF_THE_NETWORK)
    floats = {each.name for each in [*graph.value_info, *graph.output] if _is_float(each.type.tensor_type.elem_type)}
    nodes, read = [], set()
    for node in graph.node:
        nodes.append(node)
        if node.name in network:
            read |= set(node.input)
            for position, name in enumerate(node.output):
                if name in floats:
                    exact, half = f"{name}/exact", f"{name}/half"
                    node.output[position] = exact
                    nodes.append(helper.make_node("Cast", [exact], [half], to=TensorProto.FLOAT16))
                    nodes.append(helper.make_node("Cast", [half], [name], to=TensorProto.FLOAT))
    for tensor in graph.initializer:
        if tensor.name in read and _is_float(tensor.data_type):
            half_values = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(half_values.astype(np.float32), tensor.name))
    # A copy: the list of nodes cannot be extended by its own.
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    return rounded


def _with_named_nodes(model: ModelProto) -> ModelProto:
    """A copy in which each node has a name."""
    copy = ModelProto()
    copy.CopyFrom(model)
    for number, node in enumerate(copy.graph.node):
        node.name = node.name or f"node_{number}"
    return copy


def _leading_to(model: ModelProto, outputs: set[str]) -> set[str]:
    """Names of the nodes that any of these outputs depends on."""
    needed, names = set(outputs), set()
    for node in reversed(model.graph.node):
        if needed & set(node.output):
            names.add(node.name)
            needed |= set(node.input)
    return names


def _is_float(element_type: int) -> bool:
    return element_type == int(TensorProto.FLOAT)
