"""Images moved against the classifier, within a ball of so many grey levels: FGSM in one step, PGD in several.

Goodfellow et al., 2015, arXiv:1412.6572; Madry et al., 2018, arXiv:1706.06083. Both are a few lines on the grid of
8-bit pixels, which is what a file can hold and the service is sent; attack libraries work on real numbers, and whether
an attack survives rounding is left to the caller.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from training.classifier.network import Classifier


def fgsm(classifier: Classifier, images: Tensor, targets: Tensor, epsilon: int) -> Tensor:
    """Each pixel moved by `epsilon` grey levels in the direction that raises the loss; same shape.

    Args:
        classifier: in evaluation mode; not changed.
        images: (N, C, H, W) in [0, 1], on the grid of 8-bit pixels.
        targets: (N,) true classes.
        epsilon: grey levels of 255.
    """
    return _project(images + epsilon / 255 * _uphill(classifier, images, targets), images, epsilon)


def pgd(
    classifier: Classifier, images: Tensor, targets: Tensor, epsilon: int, steps: int = 10, seed: int = 0
) -> Tensor:
    """`steps` smaller steps from a random start in the ball, each back into it; arguments as of `fgsm`."""
    draw = torch.Generator().manual_seed(seed)
    start = torch.randint(-epsilon, epsilon + 1, images.shape, generator=draw).to(images.device)
    moved = _project(images + start / 255, images, epsilon)
    # Madry et al.: two and a half times the shortest stride that can cross the ball.
    stride = 2.5 * epsilon / steps / 255
    for _ in range(steps):
        moved = _project(moved + stride * _uphill(classifier, moved, targets), images, epsilon, on_grid=False)
    return _project(moved, images, epsilon)


def _uphill(classifier: Classifier, images: Tensor, targets: Tensor) -> Tensor:
    """Sign of the gradient of the cross entropy with respect to each pixel."""
    with torch.enable_grad():
        at = images.detach().clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(F.cross_entropy(classifier(at), targets), at)
    return gradient.sign()


def _project(moved: Tensor, images: Tensor, epsilon: int, on_grid: bool = True) -> Tensor:
    """The nearest image in the ball around `images`, in [0, 1], and on the grid of 8-bit pixels if wanted."""
    reach = epsilon / 255
    inside = torch.clamp(moved, (images - reach).clamp(min=0), (images + reach).clamp(max=1))
    return (inside * 255).round() / 255 if on_grid else inside
