"""The wrapped classifier at work: its standard graph run by onnxruntime, batch by batch."""

import hashlib
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto

from trust.preprocess import Pixels

Outputs = dict[str, NDArray[np.float32]]


class FrozenClassifier:
    """Pixels in, named outputs out; nothing here ever changes it."""

    def __init__(self, model: ModelProto, threads: int = 1) -> None:
        """Opens a graph that takes `image`, uint8 (N, H, W, C); its outputs are those of the graph.

        Raises:
            ValueError: onnxruntime cannot run it.
        """
        self.model, self.threads = model, threads
        self.output_names = tuple(each.name for each in model.graph.output)
        self._session = open_session(model, threads)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the graph: what answers alike has been computed already."""
        return hashlib.sha256(self.model.SerializeToString(deterministic=True)).hexdigest()

    def run(self, pixels: Pixels) -> Outputs:
        """Every output for one batch, (n, H, W, C) uint8."""
        return dict(zip(self.output_names, run_session(self._session, self.output_names, pixels), strict=True))

    def outputs(self, batches: Iterable[Pixels]) -> Outputs:
        """Every output for N images in batches, each with N rows."""
        parts = [self.run(pixels) for pixels in batches]
        return {name: np.concatenate([part[name] for part in parts]) for name in self.output_names}


def open_session(model: ModelProto, threads: int = 1) -> Any:
    """An onnxruntime session on the CPU, quiet, whose threads do not spin for work.

    Raises:
        ValueError: onnxruntime cannot load the graph.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ValueError(f"onnxruntime cannot load the classifier: {error}") from error


def run_session(session: Any, outputs: Sequence[str], pixels: Pixels) -> list[NDArray[Any]]:
    """These outputs for one batch, (n, H, W, C) uint8.

    Raises:
        ValueError: onnxruntime fails on it.
    """
    try:
        return session.run(list(outputs), {"image": np.ascontiguousarray(pixels)})
    except Exception as error:
        shape = " x ".join(map(str, pixels.shape))
        raise ValueError(f"the classifier cannot take pixels of {shape} (N x H x W x C): {error}") from error
