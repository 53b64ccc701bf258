"""Ways in which images go bad: named kinds one by one, or random chains as the oracle trains on.

Twelve of the 24 named kinds are met in training and calibration; the other twelve are kept for evaluation, so that
figures on them say what happens on a kind of shift nobody thought of. Kinds alternate through the list: no choice was
made by result. Eight nameless transforms are for training only.
"""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from training.shift.transforms import NAMED, NAMELESS

TRAINED_KINDS = tuple(NAMED)[::2]
UNSEEN_KINDS = tuple(NAMED)[1::2]

NAMELESS_SHARES = (*NAMELESS, *3 * ("smooth_warp",), "tone_curve", "fractal")
"""Nameless transforms as often as chains draw them; `docs/shift.md` says what more of the three is worth."""
TRAINING_MIX = (*TRAINED_KINDS, *NAMELESS_SHARES)
"""What bundles are trained and calibrated on."""

CHUNK = 16
"""Images that share one draw of kind and strength."""


def corrupt(images: Tensor, kind: str, severity: float, seed: int) -> Tensor:
    """One named kind at a severity from 1 to 5, same shape, on the grid of 8-bit pixels."""
    transform = NAMED.get(kind) or NAMELESS.get(kind)
    if transform is None:
        raise ValueError(f"corruption {kind!r} is unknown; wanted one of {', '.join(NAMED)}")
    with seeded(seed, images.device):
        return torch.cat([to_grid(transform(chunk, (severity - 1) / 4)) for chunk in images.split(CHUNK)])


def corrupt_in_chains(images: Tensor, kinds: Sequence[str], seed: int, longest: int = 3) -> Tensor:
    """Random chains of one to `longest` kinds, milder the longer: what the oracle trains on. Same shape."""
    draw = random.Random(seed)

    def chain(chunk: Tensor) -> Tensor:
        length = draw.randint(1, longest)
        worst = (5.0, 4.0, 3.0)[min(length, 3) - 1]
        for kind in draw.sample(list(kinds), length):
            strength = (draw.uniform(1, worst) - 1) / 4
            chunk = to_grid((NAMED.get(kind) or NAMELESS[kind])(chunk, strength))
        return chunk

    with seeded(seed, images.device):
        # Neighbours share a chain: shuffled by the caller, or the order of the data would show.
        return torch.cat([chain(chunk) for chunk in images.split(CHUNK)])


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Transforms draw from the global generators of CPU and device; they are left as they were."""
    # By default every GPU of the machine would be saved and restored, for each batch.
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def to_grid(images: Tensor) -> Tensor:
    return (images.clamp(0, 1) * 255).round() / 255
