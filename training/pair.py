"""Classifier, novelty and oracle as one: everything the two exported graphs will say about a batch of images."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from training.classifier.network import Classifier
from training.novelty import Novelty
from training.oracle.network import AnyOracle
from training.oracle.shared import SharedOracle
from training.outputs import Outputs, module_fingerprint, numpy_network
from training.predict import predict
from trust.preprocess import Pixels


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
        return self.views(predict(self._everything, batches, self.device))

    def served(self, batches: Iterable[Pixels]) -> Outputs:
        """All named outputs of the classifier and, where there is one, of the first oracle: what a bundle will say."""
        found = predict(self._everything, batches, self.device)
        return _of(found, "") | _of(found, next(iter(self.oracles), ""))

    def run(self, pixels: Pixels) -> Outputs:
        """Every output of every network for one batch, (n, H, W, C) uint8, each as `<oracle>:<name>`."""
        return numpy_network(self._everything, self.device)(pixels)

    def views(self, found: Outputs) -> dict[str, Outputs]:
        """What `run` gave, as the classifier and each oracle beside it say it."""
        return {oracle: _of(found, "") | _of(found, oracle) for oracle in self.oracles}

    def alone(self, found: Outputs) -> Outputs:
        """What `run` gave, of the classifier alone."""
        return _of(found, "")

    def fingerprint(self) -> str:
        """Of all weights: the same networks say the same."""
        networks = self.classifier, *self.oracles.values()
        return hashlib.sha256("".join(map(module_fingerprint, networks)).encode()).hexdigest()

    def _everything(self, images: Tensor) -> dict[str, Tensor]:
        said = {"": self.classifier(images)}
        for name, oracle in self.oracles.items():
            said[name] = oracle(said[""]["features"] if isinstance(oracle, SharedOracle) else images)
        return {f"{of}:{name}": output for of, outputs in said.items() for name, output in outputs.items()}


def _of(found: Outputs, network: str) -> Outputs:
    return {key.removeprefix(f"{network}:"): out for key, out in found.items() if key.startswith(f"{network}:")}
