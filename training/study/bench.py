"""Where oracles are tried: each recipe fitted on every classifier's own features with every seed, once, and measured.

All oracles share the classifier's backbone, so that what differs between two rows is what the rows say: the head is
fitted on features computed once, on clean images, and measured on the clean test images.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch

from training.answers import Answers
from training.oracle.answers import cache_answers
from training.oracle.jury import CrossFit, call_jury
from training.oracle.recipes import Labels, OracleRecipe
from training.oracle.shared import SharedOracle
from training.oracle.shared_fit import CachedAnswers, fit_shared_oracle
from training.scores.platt import fit_platt
from training.study.measures import measure_confidence, measure_logit
from training.study.subject import Subject
from training.study.table import Row, row_of
from trust.head import Floats
from trust.posthoc import max_softmax

BASELINE = "softmax confidence (no oracle)"


class Bench:
    """Fits and measures oracles on some classifiers; what was tried before is remembered."""

    def __init__(self, subjects: Sequence[Subject], seeds: Sequence[int]) -> None:
        self.subjects, self.seeds = tuple(subjects), tuple(seeds)
        # On the instance: a cache of the class would keep every bench alive.
        self._lesson = cache(self._read_lesson)
        self._measures = cache(self._try)

    @property
    def about(self) -> str:
        """How many trials of what a row is."""
        trials = f"{counted_classifiers(self.subjects)}, oracle seeds {', '.join(map(str, self.seeds))} on each"
        several = len(self.subjects) * len(self.seeds) > 1
        return trials + ("; mean ± sample standard deviation over all of them" if several else "")

    def oracle_row(self, name: str, recipe: OracleRecipe) -> Row:
        """Every measure of this recipe's logit, over all classifiers and seeds."""
        return row_of(name, [self._measures(subject, recipe, seed) for subject in self.subjects for seed in self.seeds])

    def baseline_row(self) -> Row:
        """Every measure of the classifier's own confidence, which knows no oracle seeds."""
        return row_of(BASELINE, [baseline_measures(subject) for subject in self.subjects])

    def _try(self, subject: Subject, recipe: OracleRecipe, seed: int) -> dict[str, float]:
        lesson = self._lesson(subject, recipe.labels)
        oracle = fit_shared_oracle(lesson.features, lesson.logits, lesson.targets, recipe, seed, title=_title(recipe))
        calibration = subject.answers(subject.dataset.calibration)
        test = subject.answers(subject.dataset.test)
        scale = fit_platt(_logit(oracle, calibration), calibration.correct)
        logit = _logit(oracle, test)
        return measure_logit(logit, scale(logit), test.correct)

    def _read_lesson(self, subject: Subject, labels: Labels) -> CachedAnswers:
        if labels == "crossfit":
            return _judged_by_folds(subject, subject.crossfit())
        split = subject.dataset.train if labels == "training" else subject.dataset.oracle
        said = subject.answers(split).outputs
        return CachedAnswers(said["features"], said["logits"], split.targets)


def baseline_measures(subject: Subject) -> dict[str, float]:
    """Every measure of the classifier's softmax confidence on the clean test images."""
    calibration, test = (subject.answers(split) for split in (subject.dataset.calibration, subject.dataset.test))
    scale = fit_platt(max_softmax(calibration.outputs["logits"]), calibration.correct)
    confidence = max_softmax(test.outputs["logits"])
    return measure_confidence(confidence, scale(confidence), test.correct)


def counted_classifiers(subjects: Sequence[Subject]) -> str:
    """The classifiers in words, with their seeds."""
    seeds = ", ".join(str(subject.config.seed) for subject in subjects)
    return f"one classifier (seed {seeds})" if len(subjects) == 1 else f"{len(subjects)} classifiers (seeds {seeds})"


def _judged_by_folds(subject: Subject, crossfit: CrossFit | None) -> CachedAnswers:
    """Training images, each judged by the fold that left it out, and beside them the held-out ones."""
    data = subject.dataset
    jury = call_jury(subject.classifier, len(data.train), len(data.oracle), "crossfit", crossfit)
    return cache_answers(subject.classifier, data.train + data.oracle, jury, subject.device)


def _logit(oracle: SharedOracle, answers: Answers) -> Floats:
    with torch.inference_mode():
        features = torch.from_numpy(np.array(answers.outputs["features"]))
        return np.asarray(oracle(features)["oracle_logit"].numpy(), float)


def _title(recipe: OracleRecipe) -> str:
    slopes = f" ({recipe.slope_correct:g}, {recipe.slope_incorrect:g})" if "steep" in recipe.loss else ""
    return f"{recipe.loss_label}{slopes}, {recipe.head} head, {recipe.labels} labels"
