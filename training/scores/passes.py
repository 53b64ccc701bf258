"""Further passes of a frozen classifier over the same images, each of which gives one more named output.

A pass takes images (N, C, H, W) in [0, 1], as `training.fit.predict` gives them; what comes out is scored by
`training.scores.several`. ODIN's pass, which needs gradients, is in `training.scores.odin`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

Pass = Callable[[Tensor], dict[str, Tensor]]

DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


def flipped(classifier: nn.Module) -> Pass:
    """flipped_logits (N, K): of the mirrored images."""
    return lambda images: {"flipped_logits": classifier(images.flip(3))}


def mc_dropout(classifier: nn.Module, passes: int) -> Pass:
    """dropout_logits (N, T, K): of T passes in which dropout draws anew (Gal and Ghahramani, 2016, arXiv:1506.02142).

    Draws from torch's global generator. All else is as in evaluation: batch statistics stay as they are.

    Raises:
        ValueError: the classifier has no dropout layer, or there is no pass.
    """
    if not _dropouts(classifier):
        raise ValueError("the classifier has no dropout layer, every pass would be the same; leave Monte-Carlo out")
    if passes < 1:
        raise ValueError(f"{passes} passes of Monte-Carlo dropout; take at least 1")

    def run(images: Tensor) -> dict[str, Tensor]:
        with _dropout_drawing(classifier):
            return {"dropout_logits": torch.stack([classifier(images) for _ in range(passes)], 1)}

    return run


def ensemble(members: Sequence[nn.Module]) -> Pass:
    """ensemble_logits (N, M, K): of every member (Lakshminarayanan et al., 2017, arXiv:1612.01474).

    Args:
        members: networks fitted from different seeds, the classifier that answers among them.

    Raises:
        ValueError: no member.
    """
    if not members:
        raise ValueError("an ensemble without members; give at least the classifier that answers")
    return lambda images: {"ensemble_logits": torch.stack([member(images) for member in members], 1)}


def _dropouts(classifier: nn.Module) -> list[nn.Module]:
    return [module for module in classifier.modules() if isinstance(module, DROPOUTS)]


@contextmanager
def _dropout_drawing(classifier: nn.Module) -> Iterator[None]:
    classifier.eval()
    for module in _dropouts(classifier):
        module.train()
    try:
        yield
    finally:
        classifier.eval()
