"""A tiny bundle whose classifier does, on request of the image, what networks do when things go wrong.

The last pixel of an image is its mark. An unmarked image (below 250) is answered as by the tiny bundle. The graph
itself misbehaves, by onnxruntime's own doing: nothing in the service is replaced.
"""

import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from tests.tiny import edit_manifest, expected_answer, png, quadrants, write_tiny_bundle

NOT_FINITE, RAISES, BUSY = 251, 252, 253
UNIT_SECONDS = 0.02
"""A busy image keeps the network busy for so long, times its second to last pixel."""

_SIDE = 64


def write_faulty_bundle(folder: Path, seconds_an_image: float = 0.0) -> Path:
    """Writes the bundle and gives back its folder.

    Args:
        folder: to be made.
        seconds_an_image: for which any image keeps the network busy; measured here and now, so about.
    """
    write_tiny_bundle(folder)
    golden = dict(np.load(folder / "golden.npz"))
    assert golden["image"][:, 3, 3].max() < NOT_FINITE, "the golden images carry no marks"
    rounds_a_second = _rounds_a_second()
    path = folder / "classifier.onnx"
    model = onnx.load(path)
    _make_faulty(model.graph, int(UNIT_SECONDS * rounds_a_second), int(seconds_an_image * rounds_a_second))
    onnx.checker.check_model(model)
    onnx.save(model, path)
    edit_manifest(folder, name="faulty")
    return folder


def image(mark: int = 0, before: int = 0) -> bytes:
    """A PNG file with a mark: NOT_FINITE, RAISES, or BUSY for `before` units."""
    pixels = quadrants(200, 50, 20, 120)
    pixels[3, 2:] = before, mark
    return png(pixels)


def busy(seconds: float) -> bytes:
    """An image that keeps the network busy for about so long, 5.1 s at most."""
    return image(BUSY, round(seconds / UNIT_SECONDS))


PLAIN = image()
PLAIN_ANSWER = expected_answer(np.array([[200, 200, 50, 50]] * 2 + [[20, 20, 120, 120], [20, 20, 0, 0]]))


def _make_faulty(graph: onnx.GraphProto, rounds_a_unit: int, rounds_an_image: int) -> None:
    """Adds to the logits what is 0 for unmarked images, and to the time what is none."""
    logits = next(node for node in graph.node if "logits" in node.output)
    logits.output[0] = "sound"
    at = list(graph.node).index(logits) + 1
    for node in reversed([*_marks(), *_logarithm(), *_lookup(), *_loop(), *_sum()]):
        graph.node.insert(at, node)
    constants = {
        "mark index": np.array(15),
        "before index": np.array(14),
        "not finite mark": np.array(NOT_FINITE, np.float32),
        "raises mark": np.array(RAISES, np.float32),
        "busy mark": np.array(BUSY, np.float32),
        "zero": np.array(0, np.float32),
        "minus one": np.array(-1, np.float32),
        "plus one": np.array(1, np.float32),
        "out of range": np.array(10**6),
        "in range": np.array(0),
        "one zero": np.zeros(1, np.float32),
        "column": np.array([-1, 1]),
        "rounds a unit": np.array(rounds_a_unit, np.float32),
        "rounds an image": np.array(rounds_an_image, np.float32),
        "go on": np.array(True),
        "square": np.zeros((_SIDE, _SIDE), np.float32),
    }
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())


def _marks() -> list[onnx.NodeProto]:
    node = helper.make_node
    return [
        node("Gather", ["flat", "mark index"], ["mark"], axis=1),  # (N,)
        node("Gather", ["flat", "before index"], ["before"], axis=1),
        node("Equal", ["mark", "not finite mark"], ["is not finite"]),
        node("Equal", ["mark", "raises mark"], ["raises"]),
        node("Equal", ["mark", "busy mark"], ["is busy"]),
    ]


def _logarithm() -> list[onnx.NodeProto]:
    """Log(-1) for an image that is to have no finite answer, Log(1) for others."""
    node = helper.make_node
    return [
        node("Where", ["is not finite", "minus one", "plus one"], ["sign"]),
        node("Log", ["sign"], ["nothing or nan"]),  # (N,)
        node("Reshape", ["nothing or nan", "column"], ["nothing or nan column"]),  # (N, 1)
    ]


def _lookup() -> list[onnx.NodeProto]:
    """A row that a table does not have: fails the whole batch."""
    node = helper.make_node
    return [
        node("Where", ["raises", "out of range", "in range"], ["row"]),
        node("Gather", ["one zero", "row"], ["nothing or failure"], axis=0),  # (N,)
        node("Reshape", ["nothing or failure", "column"], ["nothing or failure column"]),
    ]


def _loop() -> list[onnx.NodeProto]:
    """As many rounds of useless work as the images of the batch ask for."""
    node = helper.make_node
    return [
        node("Mul", ["before", "rounds a unit"], ["rounds if busy"]),
        node("Where", ["is busy", "rounds if busy", "zero"], ["rounds by mark"]),
        node("Add", ["rounds by mark", "rounds an image"], ["rounds of each"]),
        node("ReduceSum", ["rounds of each"], ["rounds as float"], keepdims=0),
        node("Cast", ["rounds as float"], ["rounds"], to=TensorProto.INT64),
        node("Loop", ["rounds", "go on", "square"], ["worked"], body=_round()),
        node("ReduceMax", ["worked"], ["nothing"], keepdims=0),
    ]


def _sum() -> list[onnx.NodeProto]:
    node = helper.make_node
    return [
        node("Add", ["sound", "nothing or nan column"], ["sound or nan"]),
        node("Add", ["sound or nan", "nothing or failure column"], ["sound or failed"]),
        node("Add", ["sound or failed", "nothing"], ["logits"]),
    ]


def _round() -> onnx.GraphProto:
    """One round: a square of zeros times itself, too small for onnxruntime to share among threads."""
    square = [_SIDE, _SIDE]
    return helper.make_graph(
        [
            helper.make_node("MatMul", ["square in", "square in"], ["square out"]),
            helper.make_node("Identity", ["going on"], ["goes on"]),
        ],
        "round",
        [
            helper.make_tensor_value_info("round number", TensorProto.INT64, []),
            helper.make_tensor_value_info("going on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("square in", TensorProto.FLOAT, square),
        ],
        [
            helper.make_tensor_value_info("goes on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("square out", TensorProto.FLOAT, square),
        ],
    )


def _rounds_a_second() -> float:
    """How many rounds onnxruntime makes here."""
    rounds = 2_000
    graph = helper.make_graph(
        [helper.make_node("Loop", ["rounds", "go on", "square"], ["worked"], body=_round())],
        "loop",
        [helper.make_tensor_value_info("rounds", TensorProto.INT64, [])],
        [helper.make_tensor_value_info("worked", TensorProto.FLOAT, [_SIDE, _SIDE])],
        [
            numpy_helper.from_array(np.array(True), "go on"),
            numpy_helper.from_array(np.zeros((_SIDE, _SIDE), np.float32), "square"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        session.run(None, {"rounds": np.array(rounds)})
        seconds.append(time.perf_counter() - started)
    # The fastest: what disturbs a measurement only ever slows it down.
    return rounds / min(seconds)
