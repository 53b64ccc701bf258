"""Sharpness-aware minimisation: descend with the gradient of the worst point nearby, so that minima come out flat.

Foret et al., "Sharpness-Aware Minimization for Efficiently Improving Generalization", arXiv:2010.01412.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import get_total_norm

_TINY = 1e-12
"""Keeps a gradient of zero from being divided by zero."""


@contextmanager
def ascended(model: nn.Module, radius: float) -> Iterator[None]:
    """Within, the weights w stand at w + radius g / ||g||, with g the gradient on entry; afterwards they are w again.

    The norm is over all parameters together (the paper's Eq. 2). Gradients are cleared on entry, so that those found
    within remain. Batch normalisation normalises within as ever, but keeps the statistics it met at w.

    >>> point = nn.Linear(1, 2, bias=False)
    >>> point.weight.data, point.weight.grad = torch.zeros(2, 1), torch.tensor([[3.0], [4.0]])
    >>> with ascended(point, radius=0.5):    # (3, 4) is 5 long
    ...     point.weight.flatten().tolist()
    [0.30000001192092896, 0.4000000059604645]
    """
    learning = [parameter for parameter in model.parameters() if parameter.grad is not None]
    gradients = [parameter.grad for parameter in learning if parameter.grad is not None]
    stays = [parameter.detach().clone() for parameter in learning]
    statistics = [part for part in model.modules() if isinstance(part, _BatchNorm) and part.track_running_stats]
    with torch.no_grad():
        share = radius / (get_total_norm(gradients) + _TINY)
        for parameter, gradient in zip(learning, gradients, strict=True):
            parameter.add_(share * gradient)
    model.zero_grad()
    for part in statistics:
        part.track_running_stats = False
    try:
        yield
    finally:
        for part in statistics:
            part.track_running_stats = True
        with torch.no_grad():
            for parameter, before in zip(learning, stays, strict=True):
                parameter.copy_(before)
