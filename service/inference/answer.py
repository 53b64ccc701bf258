"""From pixels to answers: both networks, the trust head and the decision, over one batch."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.inference.bundle import Bundle
from trust.head import decide, trust_inputs, trust_of_inputs
from trust.manifest import Threshold
from trust.preprocess import Pixels


class Answer(NamedTuple):
    """What the service says about one image."""

    class_index: int
    confidence: float
    trust: float
    threshold: float
    trusted: bool
    probabilities: NDArray[np.float32]  # (K,)
    novelty: float | None
    """How far image and features lie from clean data; None where the bundle does not measure it."""
    head_inputs: NDArray[np.float32]  # (I,), in the order of manifest.trust_head.inputs

    @property
    def is_finite(self) -> bool:
        """Whether it is an answer: networks that give infinity or NaN for an image have none."""
        return math.isfinite(self.trust) and math.isfinite(self.confidence)


def threshold_in_force(chosen: float | None, bundle: Bundle) -> Threshold:
    """The operator's choice, which promises nothing, else the bundle's threshold."""
    if chosen is None:
        return bundle.manifest.threshold
    return Threshold(value=chosen, statement="set by the operator; no error rate is promised")


def answer_batch(
    bundle: Bundle, threshold: Threshold, images: Sequence[Pixels], classified: Callable[[], None] = lambda: None
) -> list[Answer]:
    """One answer an image, in their order; each image (H, W, C) uint8; `classified` as for `SessionPair.run`."""
    outputs = bundle.sessions.run(images, classified)
    head = bundle.manifest.trust_head
    inputs = trust_inputs(head, outputs)  # (N, I)
    trust = trust_of_inputs(head, inputs, outputs.get("novelty"))  # (N,)
    probabilities = outputs["probabilities"]  # (N, K)
    predicted = outputs["logits"].argmax(axis=1)
    confidence = probabilities[np.arange(len(predicted)), predicted]
    limits = threshold.of(predicted)
    novelty = outputs["novelty"].tolist() if "novelty" in outputs else [None] * len(predicted)
    columns = (predicted, confidence, trust, limits, decide(trust, limits))
    rows = zip(*(column.tolist() for column in columns), probabilities, novelty, inputs.astype(np.float32), strict=True)
    return [Answer._make(row) for row in rows]
