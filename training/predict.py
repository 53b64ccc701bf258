"""Outputs of a model over many images, and the device it runs on."""

from collections.abc import Callable, Iterable

import numpy as np
import torch
from accelerate import PartialState
from torch import Tensor

from training.outputs import Outputs, numpy_network
from trust.preprocess import Pixels


def predict(model: Callable[[Tensor], dict[str, Tensor]], batches: Iterable[Pixels], device: torch.device) -> Outputs:
    """Outputs of a model over many images, by name, each with N rows: in memory, `OutputStore` has them on disk.

    Args:
        model: images (n, C, H, W) in [0, 1] -> named outputs.
        batches: (n, H, W, C) uint8 each; N images in all.
        device: where the model is.
    """
    network = numpy_network(model, device)
    parts = [network(pixels) for pixels in batches]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def pick_device(name: str) -> torch.device:
    """`cuda` or `cpu`; `auto` takes a GPU where there is one. Of several processes each has a GPU of its own."""
    chosen = ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name
    if chosen == "cuda" and torch.distributed.is_initialized():
        return PartialState().device
    return torch.device(chosen)
