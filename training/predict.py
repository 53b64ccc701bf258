"""Outputs of a model over many images, and the device it runs on."""

from collections.abc import Callable, Iterable

import numpy as np
import torch
from accelerate import PartialState
from numpy.typing import NDArray
from torch import Tensor

from training.data.images import to_images
from trust.preprocess import Pixels


@torch.inference_mode()
def predict(
    model: Callable[[Tensor], dict[str, Tensor]], batches: Iterable[Pixels], device: torch.device
) -> dict[str, NDArray[np.float32]]:
    """Outputs of a model over many images, by name, each with N rows.

    Args:
        model: images (n, C, H, W) in [0, 1] -> named outputs.
        batches: (n, H, W, C) uint8 each; N images in all.
        device: where the model is.
    """
    parts = [
        {name: output.float().cpu().numpy() for name, output in model(to_images(pixels, device)).items()}
        for pixels in batches
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def pick_device(name: str) -> torch.device:
    """`cuda` or `cpu`; `auto` takes a GPU where there is one. Of several processes each has a GPU of its own."""
    chosen = ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name
    if chosen == "cuda" and torch.distributed.is_initialized():
        return PartialState().device
    return torch.device(chosen)
