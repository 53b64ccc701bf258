"""From pixels to answers: both networks, the trust head and the decision, over one batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.bundle import Bundle
from trust.head import decide, trust_probability
from trust.preprocess import Pixels


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service says about one image."""

    class_index: int
    confidence: float
    trust: float
    trusted: bool
    probabilities: NDArray[np.float32]  # (K,)


def answer_batch(bundle: Bundle, threshold: float, images: Sequence[Pixels]) -> list[Answer]:
    """One answer an image, in their order; each image (H, W, C) uint8."""
    outputs = bundle.sessions.run(np.stack(images))
    trust = trust_probability(bundle.manifest.trust_head, outputs)  # (N,)
    probabilities = outputs["probabilities"]  # (N, K)
    predicted = outputs["logits"].argmax(axis=1)
    confidence = probabilities[np.arange(len(predicted)), predicted]
    columns = (predicted.tolist(), confidence.tolist(), trust.tolist(), decide(trust, threshold).tolist())
    return [Answer(*row) for row in zip(*columns, probabilities, strict=True)]
