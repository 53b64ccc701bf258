"""A finished run's classifier as the study looks at it: its images, and what it says of them, computed once."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from pydantic import TypeAdapter

from training.answers import Answers
from training.classifier.network import Classifier
from training.config import TrainingConfig
from training.data.dataset import Dataset, Split
from training.oracle.jury import CrossFit
from training.outputs import CLEAN, OutputKey, Outputs, OutputStore, module_fingerprint, numpy_network
from training.run import Run
from training.scores.passes import DROPOUTS, Pass
from training.steps import load_classifier, load_crossfit, open_dataset


@dataclass(frozen=True, eq=False)
class Subject:
    """One classifier, frozen, and the splits of the run that trained it."""

    run: Run
    config: TrainingConfig
    dataset: Dataset
    classifier: Classifier

    @property
    def device(self) -> torch.device:
        return next(self.classifier.parameters()).device

    @cached_property
    def fingerprint(self) -> str:
        """Of the classifier."""
        return module_fingerprint(self.classifier)

    @property
    def trained_for(self) -> str:
        """How the classifier was fitted: its loss, and its dropout where it has any."""
        loss = {"cross_entropy": "cross entropy", "crl": "correctness ranking", "fmfp": "flat minima (FMFP)"}
        dropout = self.config.classifier_dropout
        return loss[self.config.classifier_loss] + (f", dropout {dropout:g}" if dropout else "")

    @property
    def drops(self) -> bool:
        """Whether the classifier has dropout, so that several passes differ."""
        return any(isinstance(module, DROPOUTS) for module in self.classifier.modules())

    def answers(self, split: Split) -> Answers:
        """Logits and features of some images; the arrays are memory-mapped."""
        return Answers(self.outputs(split, CLEAN, self._say), split.targets)

    def outputs(self, split: Split, condition: str, run: Pass) -> Outputs:
        """What a pass over some images gives, computed once for this classifier, these images and this condition.

        Args:
            split: N images.
            condition: names the pass and whatever it depends on beside classifier and images.
            run: (n, C, H, W) in [0, 1] -> named outputs.
        """
        key = OutputKey(self.fingerprint, split.fingerprint(), condition)
        return self._store.get(key, split.batches(), len(split), numpy_network(run, self.device))

    def crossfit(self) -> CrossFit | None:
        """Classifiers of the folds, where the run has them."""
        weights = (self.run.folder / f"classifier-fold-{fold}.pt" for fold in range(self.config.folds))
        return load_crossfit(self.config, self.run, self.dataset) if all(path.is_file() for path in weights) else None

    def _say(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        features = self.classifier.features(images)
        return {"logits": self.classifier.logits_of(features), "features": features}

    @cached_property
    def _store(self) -> OutputStore:
        return OutputStore(self.run.folder / "outputs")


def open_subject(folder: Path) -> Subject:
    """The classifier of a run's folder.

    Raises:
        ValueError: there is no run.
        MissingStep: the run has no classifier yet.
    """
    config = read_config(folder)
    run = Run(config)
    dataset = open_dataset(config, run)
    return Subject(run, config, dataset, load_classifier(config, run, dataset))


def read_config(folder: Path) -> TrainingConfig:
    """How a run was started, wherever its folder lies now.

    Raises:
        ValueError: there is no run.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise ValueError(f"{folder} holds no run: {path.name} is missing; train one with `trustserve-train all`")
    options = json.loads(path.read_text()) | {"run": str(folder), "resume": False}
    return TypeAdapter(TrainingConfig).validate_python(options)


def require_same_test(subjects: list[Subject]) -> None:
    """Refuses runs that hold out different test images: one's classifier may have learned another's.

    Raises:
        ValueError: naming two such runs.
    """
    first, *others = subjects
    expected = first.dataset.test.fingerprint()
    for other in others:
        if other.dataset.test.fingerprint() != expected:
            raise ValueError(
                f"{first.run.folder} and {other.run.folder} test on different images, on which the other's classifier "
                "may have been trained; take runs of one data set that has test images of its own"
            )
