"""The classifier's own scores: every method that needs no oracle, with its interval and against softmax confidence."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.bootstrap import bootstrap_values, percentile_ends
from training.metrics.calibration import ece
from training.metrics.measure import Measure
from training.metrics.ranking import aupr_error, aupr_success, auroc, fpr_at_95_tpr
from training.metrics.selective import augrc, aurc, e_aurc
from training.scores.fitting import fit_methods
from training.scores.methods import CLASSIFIER_METHODS, SOFTMAX
from training.study.measures import AREAS, AUROC, RANKING
from training.study.passes import FurtherPasses
from training.study.subject import Subject
from training.study.table import Column, Figure, Row, StudyTable
from trust.head import Floats

MEASURES: dict[str, Measure[Any]] = {
    "auroc": auroc,
    "fpr_at_95_tpr": fpr_at_95_tpr,
    "aupr_error": aupr_error,
    "aupr_success": aupr_success,
    "aurc": aurc,
    "e_aurc": e_aurc,
    "augrc": augrc,
    "ece": ece,
}
GAIN = "gain"
"""AUROC above that of softmax confidence, on the same resamples."""

_COSTS = {method.name: method.cost for method in CLASSIFIER_METHODS}


def measure_scores(
    scores: Mapping[str, Floats], correct: NDArray[np.bool_], baseline: str, resamples: int
) -> dict[str, dict[str, Figure]]:
    """Every measure of every score, with its 95 % bootstrap interval, and the gain over one of them.

    Args:
        scores: (N,) each, P(correct), by name.
        correct: (N,).
        baseline: the score that gains are measured against.
        resamples: of the bootstrap.
    """
    # The same resamples for all: so differences are of pairs.
    drawn = {name: bootstrap_values(MEASURES, score, correct, resamples) for name, score in scores.items()}
    found = {}
    for name, score in scores.items():
        figures = {key: _figure(measure(score, correct), drawn[name][key]) for key, measure in MEASURES.items()}
        gain = auroc(score, correct) - auroc(scores[baseline], correct)
        if name != baseline:
            figures[GAIN] = _figure(gain, drawn[name]["auroc"] - drawn[baseline]["auroc"])
        found[name] = figures
    return found


def method_tables(subjects: Sequence[Subject], others: Sequence[Subject], resamples: int) -> list[StudyTable]:
    """Every method on the clean test images; then those that only a classifier trained with dropout allows.

    Args:
        subjects: each measured by itself; the ensemble of each is of all of them and of the others.
        others: further classifiers, for the ensemble where trained alike.
        resamples: of the bootstrap.
    """
    everyone = (*subjects, *others)
    measured = [_measure_subject(subject, _members(subject, everyone), resamples) for subject in subjects]
    further: dict[str, dict[str, dict[str, Figure]]] = {}
    for other in others:
        if other.drops and not subjects[0].drops:
            found = _measure_subject(other, (), resamples)
            further[other.trained_for] = {name: found[name] for name in found if name not in measured[0]}
            further[other.trained_for][SOFTMAX] = found[SOFTMAX]
    note = (
        "In brackets what serving a score takes beside the classifier's own pass; gain: AUROC points above softmax "
        "confidence; each score is scaled to a probability on the calibration images, in its own order."
    )
    if "deep ensemble" in measured[0]:
        note += (
            " Most of a run's calibration images have trained the other members of its ensemble, whose scale, and so "
            "ECE, suffers from it; the ranking does not."
        )
    elsewhere = {name for found in further.values() for name in found}
    absent = [method.name for method in CLASSIFIER_METHODS if method.name not in measured[0].keys() | elsewhere]
    if absent:
        note += f" Not measured, for want of weights: {', '.join(absent)}."
    pooled = {name: _pooled([found[name] for found in measured]) for name in measured[0]}
    return [
        _method_table("Clean test images.", pooled, note),
        *(
            _method_table(f"Clean test images, a classifier trained with {trained_for}.", found, "Gain over its own.")
            for trained_for, found in further.items()
        ),
    ]


def _method_table(title: str, found: Mapping[str, Mapping[str, Figure]], note: str) -> StudyTable:
    order = [method.name for method in CLASSIFIER_METHODS if method.name in found]
    rows = tuple(Row(f"{name} ({_COSTS[name]})", dict(found[name])) for name in order)
    columns = (AUROC, Column(GAIN, "gain", digits=2), *RANKING[:-1], *AREAS, Column("ece", "ECE", 1, 3))
    return StudyTable(title, "score (cost)", columns, rows, note)


def _measure_subject(subject: Subject, members: Sequence[Subject], resamples: int) -> dict[str, dict[str, Figure]]:
    passes = FurtherPasses(subject, members)
    data = subject.dataset
    reference = passes.plain(data.train if len(data.train) else data.oracle)
    methods = fit_methods(reference, passes.all(data.calibration), CLASSIFIER_METHODS)
    test = passes.all(data.test)
    return measure_scores(methods(test.outputs), test.correct, SOFTMAX, resamples)


def _members(subject: Subject, candidates: Sequence[Subject]) -> list[Subject]:
    """Other classifiers of the same kind, from other seeds."""

    def kind(of: Subject) -> tuple[str, str]:
        return of.config.backbone, of.trained_for

    return [other for other in candidates if kind(other) == kind(subject) and other.config.seed != subject.config.seed]


def _pooled(of_each: Sequence[Mapping[str, Figure]]) -> dict[str, Figure]:
    """One classifier keeps its interval; of several, the spread over them says more."""
    if len(of_each) == 1:
        return dict(of_each[0])
    return {key: Figure(tuple(figures[key].mean for figures in of_each)) for key in of_each[0]}


def _figure(value: float, drawn: Floats) -> Figure:
    low, high, _ = percentile_ends(drawn)
    return Figure((value,), (low, high))
