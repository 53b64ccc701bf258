"""What the classifier says of the images a shared-backbone oracle learns from, computed once."""

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from training.classifier.network import Classifier
from training.data.dataset import Split
from training.oracle.jury import Jury
from training.oracle.shared_fit import CachedAnswers
from training.predict import predict
from training.seeds import draw_seed
from training.shift.corruptions import corrupt_in_chains


def cache_answers(
    classifier: Classifier, split: Split, jury: Jury, device: torch.device, kinds: Sequence[str] = (), seed: int = 0
) -> CachedAnswers:
    """Features and judged logits of every image whose verdict is known, ordered by judge.

    Args:
        classifier: whose features the oracle will share; frozen, in evaluation mode.
        split: N images.
        jury: over the same N.
        device: where the classifiers are.
        kinds: corrupt every image by a random chain of these; none: as they are.
        seed: of the corruptions.
    """
    parts = []
    for number, judge in enumerate(jury.judges):
        own = split.take(np.flatnonzero(jury.judge_of == number))
        batches = itertools.count()

        def say(images: Tensor, judge: Classifier = judge, number: int = number) -> dict[str, Tensor]:
            if kinds:
                images = corrupt_in_chains(images, kinds, draw_seed(seed, number, next(batches)))  # noqa: B023
            return {"features": classifier.features(images), "logits": judge(images)}

        if len(own):
            said = predict(say, own.batches(), device)
            parts.append((said["features"], said["logits"], own.targets))
    return CachedAnswers(*(np.concatenate(column) for column in zip(*parts, strict=True)))
