"""Any classifier's graph in the standard form, decided by running it on real images and saying what was found."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, ValueInfoProto

from training.bundle.graphs import strip_traces
from training.wrap.frozen import FrozenClassifier, open_session, run_session
from training.wrap.preprocessing import InputSpec
from training.wrap.source import Source
from training.wrap.surgery import PREFIX, give_features, give_logits, take_pixels
from trust.preprocess import Pixels

Gives = Literal["logits", "probabilities"]

LAST, DEEP, NONE = "last", "deep", "none"
"""Choices of features beside the names of tensors."""
DEPTHS = 5
"""Layers that deep features are taken from."""
BATCH_TOLERANCE = 1e-3
"""Largest difference of a score when other images are in the batch, relative to the largest score; float16 included."""
_SUM_TOLERANCE = 0.01


@dataclass(frozen=True)
class Standard:
    """A classifier in the standard form, and what was found out on the way, one sentence each."""

    classifier: FrozenClassifier
    output: str
    """The classifier's own name of its scores."""
    classes: int
    found: tuple[str, ...]


def standardise(
    source: Source,
    spec: InputSpec,
    pixels: Pixels,
    *,
    output: str | None = None,
    gives: Gives | None = None,
    features: str = DEEP,
    threads: int = 1,
) -> Standard:
    """The classifier as a graph from `image` to `logits`, `probabilities` and, where asked, `features`.

    Args:
        source: from `read_source`.
        spec: from `decide_input`.
        pixels: (n, H, W, C) uint8, real images: some 100 are enough.
        output: the tensor with the scores, where the graph has several outputs.
        gives: what it holds; seen in the scores of these images where not given.
        features: internal tensors, by name and comma; `last` for the input of the last layer, `deep` for those of
            some layers before it as well, `none`.
        threads: of onnxruntime.

    Raises:
        ValueError: no such tensor, scores that are none, or a graph that cannot take one image or several.
    """
    model = take_pixels(source.model, spec)
    output = _choose_output(model, output or source.output)
    session = open_session(model, threads)
    scores = run_scores(session, output, pixels)
    _check_batches(session, output, pixels, scores)
    found = [f"classes: {scores.shape[1]}, from output {output}"]
    if gives is None:
        gives = "probabilities" if are_probabilities(scores) else "logits"
        found.append(f"output {output} gives {gives}: its rows {'' if gives == 'probabilities' else 'do not '}sum to 1")
    tensor = output
    if gives == "probabilities" and (before := _before_softmax(model, output)):
        tensor, gives = before, "logits"
        found.append(f"logits are tensor {before}, before the softmax")
    give_logits(model, tensor, gives)
    chosen = _choose_features(model, tensor, features, source.features)
    if chosen:
        give_features(model, {name: _dimensions(model, name, pixels[:2]) for name in chosen})
    found.append(f"features: {', '.join(chosen) or 'none'}")
    strip_traces(model)
    return Standard(FrozenClassifier(model, threads), output, scores.shape[1], tuple(found))


def run_scores(session: Any, output: str, pixels: Pixels) -> NDArray[np.float64]:
    """The classifier's scores as it gives them, (N, K), from a session of a graph that takes pixels.

    Raises:
        ValueError: they are not (N, K) with K of at least 2, or not finite.
    """
    values = np.concatenate([run_session(session, [PREFIX + output], part)[0] for part in _parts(pixels)])
    scores = values.reshape(len(values), -1).astype(float)
    if max(values.shape[1:], default=0) != scores.shape[1] or scores.shape[1] < 2:
        raise ValueError(
            f"output {output} is {' x '.join(map(str, values.shape))} for {len(pixels)} images; wanted one score for "
            "each of at least 2 classes (a single score for 'yes' must become two: log p and log(1 - p))"
        )
    if not np.isfinite(scores).all():
        raise ValueError(f"output {output} is not finite on {(~np.isfinite(scores).all(1)).sum()} real images")
    return scores


def are_probabilities(scores: NDArray[np.float64]) -> bool:
    """True where every score is in [0, 1] and every row sums to 1, but for the rounding of float16.

    >>> are_probabilities(np.array([[0.9, 0.1]])), are_probabilities(np.array([[2.0, -1.0]]))
    (True, False)
    """
    inside = (scores >= -1e-6) & (scores <= 1 + 1e-6)
    return bool(inside.all() and (np.abs(scores.sum(1) - 1) <= _SUM_TOLERANCE).all())


def _choose_output(model: ModelProto, wanted: str | None) -> str:
    names = [each.name.removeprefix(PREFIX) for each in model.graph.output]
    if wanted is not None and wanted not in names:
        raise ValueError(f"the classifier has no output {wanted}; it has {', '.join(names)}")
    if wanted is None and len(names) > 1:
        raise ValueError(f"the classifier has {len(names)} outputs; give --output, one of {', '.join(names)}")
    return wanted or names[0]


def _check_batches(session: Any, output: str, pixels: Pixels, scores: NDArray[np.float64]) -> None:
    """Some images one by one, and so a second time: the answer to one must not depend on the others."""
    alone = np.concatenate([run_scores(session, output, image[None]) for image in pixels[:3]])
    difference = float(np.abs(alone - scores[: len(alone)]).max() / np.abs(scores).max())
    if not difference <= BATCH_TOLERANCE:
        raise ValueError(
            f"the classifier answers one image differently when others are in its batch, by {difference:.2g} of its "
            "largest score: it was exported in training mode, or for a fixed number of images; export it in "
            "evaluation mode with a dynamic batch"
        )


def _before_softmax(model: ModelProto, output: str) -> str | None:
    """The tensor whose softmax an output is, if the graph says so."""
    producers = _producers(model)
    node = producers.get(PREFIX + output)
    while node is not None and node.op_type in ("Identity", "Cast"):
        node = producers.get(node.input[0])
    return node.input[0].removeprefix(PREFIX) if node is not None and node.op_type == "Softmax" else None


def _choose_features(model: ModelProto, output: str, wanted: str, known: str | None) -> tuple[str, ...]:
    """Names of the tensors that features are made of."""
    if wanted == NONE:
        return ()
    if wanted not in (LAST, DEEP):
        return tuple(name.strip() for name in wanted.split(","))
    inputs = _layer_inputs(model, PREFIX + output)
    last = known or (inputs[0] if inputs else None)
    if wanted == LAST or last is None:
        return (last,) if last else ()
    # From the last layer's input towards the image, in equal steps through what comes before it.
    spaced = np.linspace(0, len(inputs) - 1, min(DEPTHS, len(inputs))).round().astype(int)
    return tuple(dict.fromkeys([last, *(inputs[position] for position in spaced)]))


def _layer_inputs(model: ModelProto, output: str) -> list[str]:
    """What each layer with weights takes, that nearest to the scores first; the first layer takes but the image."""
    weights = {each.name for each in model.graph.initializer}
    producers = _producers(model)
    found = dict.fromkeys(
        node.input[0].removeprefix(PREFIX)
        for node in _ancestors(model, output)
        if node.op_type in ("Gemm", "MatMul", "Conv") and _is_weight(node.input[1], producers, weights)
    )
    names = [name for name in found if PREFIX + name in producers]
    return names[:-1] or names


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


def _producers(model: ModelProto) -> dict[str, NodeProto]:
    return {tensor: node for node in model.graph.node for tensor in node.output}


def _dimensions(model: ModelProto, tensor: str, pixels: Pixels) -> int:
    """Of a tensor, found by running it."""
    if PREFIX + tensor not in _producers(model):
        near = [name.removeprefix(PREFIX) for name in _producers(model) if name.startswith(PREFIX)][-8:]
        raise ValueError(f"the classifier has no tensor {tensor}; the last ones are {', '.join(near)}")
    probe = ModelProto()
    probe.CopyFrom(model)
    probe.graph.output.append(ValueInfoProto(name=PREFIX + tensor))
    value = run_session(open_session(probe), [PREFIX + tensor], pixels)[0]
    if value.dtype.kind != "f" or value.ndim not in (2, 3, 4) or len(value) != len(pixels):
        shape = " x ".join(map(str, value.shape))
        raise ValueError(
            f"tensor {tensor} is {value.dtype} {shape} for {len(pixels)} images; features are floats of (N, D), "
            "(N, tokens, D) or (N, C, H, W)"
        )
    return value.ndim


def _parts(pixels: Pixels, size: int = 100) -> Iterator[Pixels]:
    for start in range(0, len(pixels), size):
        yield pixels[start : start + size]
