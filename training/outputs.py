"""Frozen outputs: what a network says of a set of images, computed once and then read from disk.

Ten losses compared on 48,000 images run the classifier once. Outputs are written batch by batch and come back
memory-mapped, so memory holds one batch, whatever N: for ImageNet's 1,281,167 training images, 768 features are 3.9 GB
on disk and 1,000 logits 5.1 GB (float32).
"""

import hashlib
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx.external_data_helper import ExternalDataInfo, uses_external_data
from torch import Tensor, nn

from training.data.images import to_images
from training.once import made_once
from trust.preprocess import Pixels

Outputs = dict[str, NDArray[np.float32]]
Network = Callable[[Pixels], Outputs]
"""Pixels (n, H, W, C) uint8 -> named outputs of n rows each."""

CLEAN = "clean"
"""The condition of images as they are."""


@dataclass(frozen=True)
class OutputKey:
    """What outputs depend on; a change of any makes them anew."""

    model: str
    """Fingerprint of the network, by `module_fingerprint` or `onnx_fingerprint`."""
    data: str
    """Fingerprint of the images, by `Split.fingerprint`."""
    condition: str = CLEAN
    """What was done to images or network: "clean", "fog severity 3 seed 0", "dropout 30 passes seed 0"."""

    def digest(self) -> str:
        """32 hexadecimal digits that name this key's folder."""
        return hashlib.sha256(repr(astuple(self)).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class OutputStore:
    """A folder of outputs, one subfolder a key, one .npy file an output."""

    folder: Path

    def get(self, key: OutputKey, batches: Iterable[Pixels], rows: int, model: Network) -> Outputs:
        """The outputs under this key, each memory-mapped with N rows; the model is called only if they are not there.

        A process that is killed leaves nothing behind that would be taken for outputs; of two processes that want the
        same, one computes and the other waits.

        Args:
            key: of the model, the images and their condition.
            batches: (n, H, W, C) uint8 each; read only if needed, so an iterator will do.
            rows: N, images in all batches.
            model: names, types and shapes of its outputs are those of its first batch.

        Raises:
            ValueError: the batches do not hold N images, or the model does not give one row an image.
        """
        folder = made_once(self.folder / key.digest(), lambda partial: _write(partial, batches, rows, model))
        return {path.stem: np.load(path, mmap_mode="r") for path in sorted(folder.glob("*.npy"))}


def numpy_network(model: Callable[[Tensor], dict[str, Tensor]], device: torch.device) -> Network:
    """A torch network as one of pixels and numpy outputs (float32), without gradients.

    Args:
        model: images (n, C, H, W) in [0, 1] -> named outputs; in evaluation mode.
        device: where the model is.
    """

    @torch.inference_mode()
    def outputs_of(pixels: Pixels) -> Outputs:
        return {name: output.float().cpu().numpy() for name, output in model(to_images(pixels, device)).items()}

    return outputs_of


def module_fingerprint(module: nn.Module) -> str:
    """SHA-256 over a torch module's architecture (its repr) and its parameters and buffers."""
    digest = hashlib.sha256(repr(module).encode())
    for name, tensor in module.state_dict().items():
        values = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        # As bytes: numpy has no bfloat16.
        digest.update(values.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def onnx_fingerprint(path: Path) -> str:
    """SHA-256 over an ONNX file and the weights that it keeps in files beside it."""
    graph = onnx.load(path, load_external_data=False).graph
    beside = {ExternalDataInfo(tensor).location for tensor in graph.initializer if uses_external_data(tensor)}
    digest = hashlib.sha256()
    for part in (path, *(path.parent / name for name in sorted(beside))):
        with part.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _write(folder: Path, batches: Iterable[Pixels], rows: int, model: Network) -> None:
    files: dict[str, BinaryIO] = {}
    written = 0
    with ExitStack() as opened:
        for pixels in batches:
            outputs = model(pixels)
            if not files:
                files = {name: opened.enter_context((folder / f"{name}.npy").open("wb")) for name in outputs}
                for name, output in outputs.items():
                    _write_header(files[name], output, rows)
            for name, output in outputs.items():
                if len(output) != len(pixels):
                    raise ValueError(
                        f"output {name!r} has {len(output)} rows for {len(pixels)} images; wanted one each"
                    )
                # Written, not mapped: the pages of a mapped file would count as this process's memory.
                np.ascontiguousarray(output).tofile(files[name])
            written += len(pixels)
    if written != rows:
        raise ValueError(f"{written} images came for outputs of {rows} rows; wanted as many images as rows")


def _write_header(file: BinaryIO, output: NDArray[Any], rows: int) -> None:
    shape = (rows, *output.shape[1:])
    header = {"descr": np.lib.format.dtype_to_descr(output.dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
