"""Any classifier's graph in the standard form, decided by running it on real images and saying what was found."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from training.bundle.graphs import strip_traces
from training.wrap.frozen import FrozenClassifier, open_session, run_session
from training.wrap.layers import DEEP, choose_layers, producers_of
from training.wrap.preprocessing import InputSpec
from training.wrap.source import Source
from training.wrap.surgery import PREFIX, describe_input, give_features, give_logits, take_pixels
from trust.preprocess import Pixels

Gives = Literal["logits", "probabilities"]

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
    _check_number(source, session, output, pixels[:3])
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
    layers = choose_layers(model, tensor, features, source.features, pixels[:2])
    if layers:
        give_features(model, layers)
    found.append(f"features: {', '.join(layer.name for layer in layers) or 'none'}")
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


def _check_number(source: Source, session: Any, output: str, pixels: Pixels) -> None:
    """Several images where the graph was exported for one fixed number of them."""
    fixed = describe_input(source.model).shape[0]
    try:
        run_scores(session, output, pixels)
    except ValueError as error:
        if fixed is None:
            raise
        raise ValueError(
            f"the classifier was exported for exactly {fixed} image{'s' * (fixed != 1)} at a time, and more hangs on "
            "that than its input; export it with a free number (torch.onnx.export: dynamic_shapes, or dynamic_axes)"
        ) from error


def _check_batches(session: Any, output: str, pixels: Pixels, scores: NDArray[np.float64]) -> None:
    """Some images one by one, and so a second time: the answer to one must not depend on the others."""
    alone = np.concatenate([run_scores(session, output, image[None]) for image in pixels[:3]])
    # A fresh last layer may give nothing but zeros.
    largest = max(float(np.abs(scores).max()), 1e-12)
    difference = float(np.abs(alone - scores[: len(alone)]).max()) / largest
    if not difference <= BATCH_TOLERANCE:
        raise ValueError(
            f"the classifier answers one image differently when others are in its batch, by {difference:.2g} of its "
            "largest score: it was exported in training mode, or for a fixed number of images; export it in "
            "evaluation mode with a dynamic batch"
        )


def _before_softmax(model: ModelProto, output: str) -> str | None:
    """The tensor whose softmax an output is, if the graph says so."""
    producers = producers_of(model)
    node = producers.get(PREFIX + output)
    while node is not None and node.op_type in ("Identity", "Cast"):
        node = producers.get(node.input[0])
    return node.input[0].removeprefix(PREFIX) if node is not None and node.op_type == "Softmax" else None


def _parts(pixels: Pixels, size: int = 100) -> Iterator[Pixels]:
    for start in range(0, len(pixels), size):
        yield pixels[start : start + size]
