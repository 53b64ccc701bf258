"""One network of a bundle, open in onnxruntime: a batch of pixels in, its named outputs out."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from service.inference.execution import Execution
from service.inference.providers import CPU, check_provider, wanted_providers
from trust.manifest import BundleError, Manifest
from trust.preprocess import Pixels

Outputs: TypeAlias = dict[str, NDArray[Any]]

IMAGE = "image"


class Network:
    """A session on one ONNX graph, and the bindings of its input and outputs.

    Each network on a GPU has a stream of its own, so that two of them overlap when two threads run them.

    Raises:
        BundleError: onnxruntime cannot load it, would need other files, or does not run it on the device that is
            demanded.
    """

    def __init__(self, path: Path, graph: bytes, outputs: Sequence[str], execution: Execution, threads: int) -> None:
        """Opens a graph that was read from a file: not the path, for what was verified is what is opened."""
        self.path = path
        self._outputs = list(outputs)
        try:
            self.session = onnxruntime.InferenceSession(
                graph, sess_options=_session_options(threads), providers=wanted_providers(execution)
            )
        except Exception as error:
            raise BundleError(f"{path} cannot be loaded: {error}; export the bundle again") from error
        # Kept for a fallback to another provider, which would be a silent one.
        self.session.disable_fallback()
        self.session._model_bytes = None
        self.provider: str = self.session.get_providers()[0]
        check_provider(self.provider, execution.device)
        self._binding = self.session.io_binding()

    @property
    def on_gpu(self) -> bool:
        return self.provider != CPU

    def run(self, images: Pixels) -> Outputs:
        """Outputs by name, each (N, ...), for images (N, H, W, C) uint8; in one thread at a time on a GPU."""
        # Binding costs 7 microseconds more than it saves where there is nothing to copy.
        return self.run_bound(images) if self.on_gpu else self.run_unbound(images)

    def run_unbound(self, images: Pixels) -> Outputs:
        values = self.session.run(self._outputs, {IMAGE: images})
        return dict(zip(self._outputs, values, strict=True))

    def run_bound(self, images: Pixels) -> Outputs:
        """The same by I/O binding: pixels go to the device once, outputs come back once."""
        self._binding.bind_cpu_input(IMAGE, images)
        for name in self._outputs:
            # Anew for each batch, else onnxruntime writes into what the batch before was given.
            self._binding.bind_output(name)
        self.session.run_with_iobinding(self._binding)
        return dict(zip(self._outputs, self._binding.copy_outputs_to_cpu(), strict=True))


def check_network(network: Network, manifest: Manifest, outputs: Sequence[str]) -> None:
    """Compares a network with what the manifest says of it.

    Raises:
        BundleError: it takes other images, lacks an output, or gives one of another shape.
    """
    path = network.path
    _check_input(network, manifest)
    if absent := set(outputs) - {each.name for each in network.session.get_outputs()}:
        raise BundleError(f"{path} does not give {sorted(absent)}, which the manifest lists; export the bundle again")
    shapes = {name: value.shape for name, value in _try_one(network, manifest).items()}
    for name in {"logits", "probabilities", "oracle_class_logits"} & shapes.keys():
        if shapes[name] != (1, len(manifest.classes)):
            raise BundleError(
                f"{path} gives {name} {shapes[name]} for one image; wanted (1, {len(manifest.classes)}), one for each "
                "class of the manifest; export the bundle again"
            )
    for name in {"oracle_logit", "novelty"} & shapes.keys():
        if shapes[name] != (1,):
            raise BundleError(f"{path} gives {name} {shapes[name]} for one image; wanted (1,); export the bundle again")


def _session_options(threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Two pools that spin for work slow each other many times over.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Weights in other files are looked for in a folder that can hold none: they are refused.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    options.log_severity_level = 3
    return options


def _check_input(network: Network, manifest: Manifest) -> None:
    channels, height, width = manifest.preprocess.input_size
    wanted = f"{IMAGE}: tensor(uint8) (N, {height}, {width}, {channels})"
    inputs = network.session.get_inputs()
    found = ", ".join(f"{each.name}: {each.type} ({', '.join(map(str, each.shape))})" for each in inputs)
    if not (
        len(inputs) == 1
        and (inputs[0].name, inputs[0].type) == (IMAGE, "tensor(uint8)")
        and not isinstance(inputs[0].shape[0], int)
        and list(inputs[0].shape[1:]) == [height, width, channels]
    ):
        raise BundleError(f"{network.path} takes {found}; wanted {wanted} with N free; export the bundle again")


def _try_one(network: Network, manifest: Manifest) -> Outputs:
    channels, height, width = manifest.preprocess.input_size
    try:
        return network.run(np.zeros((1, height, width, channels), np.uint8))
    except Exception as error:
        raise BundleError(f"{network.path} cannot be run: {error}; export the bundle again") from error
