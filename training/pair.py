"""Classifier, novelty and oracle as one: everything the two exported graphs will say about a batch of images."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from training.classifier.network import Classifier
from training.novelty import Novelty
from training.oracle.network import AnyOracle
from training.oracle.shared import SharedOracle
from training.predict import predict
from trust.preprocess import Pixels

Outputs = dict[str, NDArray[np.float32]]


class ClassifierGraph(nn.Module):
    """Images (N, C, H, W) in [0, 1] -> logits, probabilities (N, K), features (N, D), novelty (N,)."""

    def __init__(self, classifier: Classifier, novelty: Novelty, temperature: float) -> None:
        super().__init__()
        self.classifier, self.novelty, self.temperature = classifier, novelty, temperature

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Named outputs, in the order of the exported graph."""
        features = self.classifier.features(images)
        logits = self.classifier.logits_of(features)
        return {
            "logits": logits,
            "probabilities": (logits / self.temperature).softmax(1),
            "features": features,
            "novelty": self.novelty(images, features),
        }


@dataclass(frozen=True)
class Pair:
    """A frozen classifier and the oracles trained beside it, by `<recipe>-<seed>`."""

    classifier: ClassifierGraph
    oracles: dict[str, AnyOracle]
    device: torch.device

    def outputs(self, batches: Iterable[Pixels]) -> dict[str, Outputs]:
        """For each oracle all named outputs of both networks; images are read and the classifier runs once.

        Args:
            batches: (n, H, W, C) uint8 each.
        """
        found = self._everything(batches)
        return {oracle: _of(found, "") | _of(found, oracle) for oracle in self.oracles}

    def served(self, batches: Iterable[Pixels]) -> Outputs:
        """All named outputs of the classifier and, where there is one, of the first oracle: what a bundle will say."""
        found = self._everything(batches)
        return _of(found, "") | _of(found, next(iter(self.oracles), ""))

    def _everything(self, batches: Iterable[Pixels]) -> Outputs:
        def everything(images: Tensor) -> dict[str, Tensor]:
            said = {"": self.classifier(images)}
            for name, oracle in self.oracles.items():
                said[name] = oracle(said[""]["features"] if isinstance(oracle, SharedOracle) else images)
            return {f"{of}:{name}": out for of, outputs in said.items() for name, out in outputs.items()}

        return predict(everything, batches, self.device)


def _of(found: Outputs, network: str) -> Outputs:
    return {key.removeprefix(f"{network}:"): out for key, out in found.items() if key.startswith(f"{network}:")}
