"""Every named output that a classifier's own scores may read: of its plain pass, and of all further ones it allows."""

from collections.abc import Sequence

import numpy as np

from training.answers import Answers
from training.calibrate import fit_temperature
from training.data.dataset import Split
from training.data.images import to_images
from training.outputs import Outputs
from training.scores.odin import Odin, fit_odin
from training.scores.passes import Pass, ensemble, flipped, mc_dropout
from training.seeds import seed_torch
from training.study.subject import Subject
from trust.posthoc import softmax

DROPOUT_PASSES = 30
ODIN_IMAGES = 500
"""Calibration images, and as many of noise, that ODIN's temperature and step are chosen on."""


class FurtherPasses:
    """All passes over the images of one classifier, the ensemble's only where it has other members.

    Args:
        subject: whose classifier answers.
        members: further classifiers for the ensemble, trained like it from other seeds.
    """

    def __init__(self, subject: Subject, members: Sequence[Subject]) -> None:
        self.subject = subject
        calibration = subject.answers(subject.dataset.calibration)
        self._temperature = fit_temperature(calibration.outputs["logits"], calibration.targets)
        self._passes: dict[str, Pass] = {"flipped": flipped(subject.classifier)}
        odin = _fit_odin(subject)
        self._passes[f"odin temperature {odin.temperature:g} step {odin.step:.4f}"] = odin
        if subject.drops:
            self._passes[f"dropout {DROPOUT_PASSES} passes"] = mc_dropout(subject.classifier, DROPOUT_PASSES)
        if members:
            networks = [subject.classifier, *(member.classifier for member in members)]
            self._passes[" ".join(["ensemble with", *(member.fingerprint for member in members)])] = ensemble(networks)

    def plain(self, split: Split) -> Answers:
        """Logits, features and temperature-scaled probabilities."""
        answers = self.subject.answers(split)
        # float32, as a bundle's graph gives them.
        probabilities = softmax(answers.outputs["logits"] / self._temperature).astype(np.float32)
        return Answers({**answers.outputs, "probabilities": probabilities}, split.targets)

    def all(self, split: Split) -> Answers:
        """The same and every further pass."""
        outputs: Outputs = dict(self.plain(split).outputs)
        for condition, run in self._passes.items():
            # Dropout draws from torch's own generator.
            seed_torch(self.subject.config.seed)
            outputs |= self.subject.outputs(split, condition, run)
        return Answers(outputs, split.targets)


def _fit_odin(subject: Subject) -> Odin:
    calibration = subject.dataset.calibration
    familiar = calibration.pixels(slice(0, ODIN_IMAGES))
    noise = np.random.default_rng(subject.config.seed).integers(0, 256, familiar.shape, np.uint8)
    return fit_odin(subject.classifier, to_images(familiar, subject.device), to_images(noise, subject.device))
