"""Leaves the number of images of a graph free that was exported for one fixed number of them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

BATCH = "N"


def free_batch(model: ModelProto, input_name: str) -> None:
    """Gives the input, (1, ...) or any other number first, a free first dimension, in place.

    A Reshape that repeats the fixed number gets it from its input instead. Whether that was all that hung on it only a
    run can tell.
    """
    graph = model.graph
    first = next(each for each in graph.input if each.name == input_name).type.tensor_type.shape.dim[0]
    fixed = first.dim_value
    first.dim_param = BATCH
    # What was inferred for the fixed number holds no longer.
    del graph.value_info[:]
    for output in graph.output:
        output.type.tensor_type.ClearField("shape")
    if fixed:
        for node in graph.node:
            if node.op_type == "Reshape":
                _free_reshape(graph, node, fixed)


def _free_reshape(graph: GraphProto, node: NodeProto, fixed: int) -> None:
    shape = _constant(graph, node.input[1])
    if shape is None or not len(shape) or shape[0] != fixed:
        return
    # -1 is "whatever is left", which may stand once; 0 is "as in the input".
    free = np.array([0 if -1 in shape else -1, *shape[1:]], np.int64)
    name = f"{node.output[0]}/shape"
    graph.initializer.append(numpy_helper.from_array(free, name))
    node.input[1] = name


def _constant(graph: GraphProto, name: str) -> NDArray[Any] | None:
    for tensor in graph.initializer:
        if tensor.name == name:
            return numpy_helper.to_array(tensor)
    for node in graph.node:
        if node.op_type == "Constant" and name in node.output:
            value = helper.get_attribute_value(node.attribute[0])
            return numpy_helper.to_array(value) if isinstance(value, TensorProto) else np.atleast_1d(value)
    return None
