"""A bundle's networks as onnxruntime sessions: one batch of pixels in, every output of both graphs out."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from trust.manifest import CLASSIFIER, ORACLE, BundleError, Manifest, read_file
from trust.preprocess import Pixels

Device: TypeAlias = Literal["auto", "cpu", "cuda"]
Outputs: TypeAlias = dict[str, NDArray[Any]]

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


class SessionPair:
    """Classifier and, where the bundle has one, oracle, run at the same time on each batch."""

    def __init__(self, classifier: "Graph", oracle: "Graph | None") -> None:
        self._classifier = classifier
        self._oracle = oracle
        self._oracle_thread = ThreadPoolExecutor(1, thread_name_prefix="oracle")

    def run(self, images: Pixels) -> Outputs:
        """Outputs of both graphs by name, each (N, ...), for images (N, H, W, C) uint8."""
        if self._oracle is None:
            return self._classifier.run(images)
        oracle_outputs = self._oracle_thread.submit(self._oracle.run, images)
        return self._classifier.run(images) | oracle_outputs.result()

    @property
    def providers(self) -> dict[str, str]:
        """Where each network runs, as its session says."""
        graphs = {"classifier": self._classifier, "oracle": self._oracle}
        return {name: graph.provider for name, graph in graphs.items() if graph is not None}

    def close(self) -> None:
        self._oracle_thread.shutdown()


class Graph:
    """One ONNX graph, open and checked against the manifest.

    Raises:
        BundleError: the file differs from the manifest's, onnxruntime cannot load it or would need other files, it is
            not the graph that the manifest describes, or CUDA is wanted and the session does not have it.
    """

    def __init__(self, path: Path, manifest: Manifest, outputs: Sequence[str], device: Device, threads: int) -> None:
        self._outputs = list(outputs)
        # Not the path: what was verified is what is opened.
        data = read_file(path.parent, manifest, path.name)
        try:
            self._session = onnxruntime.InferenceSession(
                data, sess_options=_session_options(threads), providers=_wanted_providers(device)
            )
        except Exception as error:
            raise BundleError(f"{path} cannot be loaded: {error}; export the bundle again") from error
        # Kept for a fallback to another provider, which would be a silent one.
        self._session.disable_fallback()
        self._session._model_bytes = None
        self.provider: str = self._session.get_providers()[0]
        if device == "cuda" and self.provider != CUDA:
            raise BundleError(
                "device is cuda, but onnxruntime has no working CUDA here; install trustserve[gpu] on a machine "
                "with an NVIDIA driver, or choose --device auto"
            )
        _check_graph(path, self._session, manifest, outputs)

    def run(self, images: Pixels) -> Outputs:
        values = self._session.run(self._outputs, {"image": images})
        return dict(zip(self._outputs, values, strict=True))


def open_sessions(bundle: Path, manifest: Manifest, device: Device, threads: int | None) -> SessionPair:
    """The sessions of a bundle; without a number of threads, they share the cores evenly.

    Raises:
        BundleError: as `Graph`.
    """
    files = {CLASSIFIER: manifest.classifier_outputs}
    if manifest.oracle_outputs:
        files[ORACLE] = manifest.oracle_outputs
    threads = threads or max(1, available_cores() // len(files))
    graphs = {file: Graph(bundle / file, manifest, outputs, device, threads) for file, outputs in files.items()}
    return SessionPair(graphs[CLASSIFIER], graphs.get(ORACLE))


def available_cores() -> int:
    """Cores this process may use, where the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _session_options(threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Two pools that spin for work slow each other many times over.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Weights in other files are looked for in a folder that can hold none: they are refused.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    options.log_severity_level = 3
    return options


def _wanted_providers(device: Device) -> list[Any]:
    # Listed only means compiled in: whether CUDA works, the session says afterwards.
    if device == "cpu" or CUDA not in onnxruntime.get_available_providers():
        return [CPU]
    if hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()
    # The default measures every convolution anew for each batch size it has not seen.
    return [(CUDA, {"cudnn_conv_algo_search": "HEURISTIC"}), CPU]


def _check_graph(path: Path, session: Any, manifest: Manifest, outputs: Sequence[str]) -> None:
    channels, height, width = manifest.preprocess.input_size
    wanted = f"image: tensor(uint8) (N, {height}, {width}, {channels})"
    inputs = session.get_inputs()
    found = ", ".join(f"{each.name}: {each.type} ({', '.join(map(str, each.shape))})" for each in inputs)
    if not (
        len(inputs) == 1
        and (inputs[0].name, inputs[0].type) == ("image", "tensor(uint8)")
        and not isinstance(inputs[0].shape[0], int)
        and list(inputs[0].shape[1:]) == [height, width, channels]
    ):
        raise BundleError(f"{path} takes {found}; wanted {wanted} with N free; export the bundle again")
    if absent := set(outputs) - {each.name for each in session.get_outputs()}:
        raise BundleError(f"{path} does not give {sorted(absent)}, which the manifest lists; export the bundle again")
    shapes = {
        name: value.shape for name, value in zip(outputs, _try_one(path, session, manifest, outputs), strict=True)
    }
    for name in {"logits", "probabilities", "oracle_class_logits"} & shapes.keys():
        if shapes[name] != (1, len(manifest.classes)):
            raise BundleError(
                f"{path} gives {name} {shapes[name]} for one image; wanted (1, {len(manifest.classes)}), one for each "
                "class of the manifest; export the bundle again"
            )
    for name in {"oracle_logit", "novelty"} & shapes.keys():
        if shapes[name] != (1,):
            raise BundleError(f"{path} gives {name} {shapes[name]} for one image; wanted (1,); export the bundle again")


def _try_one(path: Path, session: Any, manifest: Manifest, outputs: Sequence[str]) -> list[NDArray[Any]]:
    channels, height, width = manifest.preprocess.input_size
    try:
        blank = np.zeros((1, height, width, channels), np.uint8)
        values: list[NDArray[Any]] = session.run(list(outputs), {"image": blank})
    except Exception as error:
        raise BundleError(f"{path} cannot be run: {error}; export the bundle again") from error
    return values
