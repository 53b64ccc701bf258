"""The wrapped classifier as torch sees it: who says whether it was right, while a second network learns from that."""

import torch
from torch import Tensor, nn

from training.data.images import to_pixels
from training.wrap.frozen import FrozenClassifier
from training.wrap.surgery import LOGITS


class Judge(nn.Module):
    """Images (N, C, H, W) in [0, 1] -> logits (N, K) of the frozen classifier, without gradients."""

    def __init__(self, classifier: FrozenClassifier, classes: int, channels: int) -> None:
        super().__init__()
        self.classes, self.channels = classes, channels
        self._classifier = classifier
        # Tells where it is; an oracle is fitted on its classifier's device.
        self.place = nn.Parameter(torch.empty(0), requires_grad=False)

    def forward(self, images: Tensor) -> Tensor:
        logits = self._classifier.run(to_pixels(images))[LOGITS]
        return torch.from_numpy(logits).to(images.device)
