"""Classifiers trained for it: how well softmax confidence ranks, by what the classifier was fitted with."""

from collections.abc import Sequence

from training.study.bench import baseline_measures
from training.study.measures import ACCURACY, AREAS, CALIBRATION, RANKING
from training.study.subject import Subject
from training.study.table import Row, StudyTable, row_of


def classifier_tables(subjects: Sequence[Subject]) -> list[StudyTable]:
    """One row for each way of training, over all classifiers trained that way."""
    by_training: dict[str, list[Subject]] = {}
    for subject in subjects:
        by_training.setdefault(subject.trained_for, []).append(subject)
    rows = tuple(_row(trained_for, alike) for trained_for, alike in by_training.items())
    columns = (ACCURACY, *RANKING, *AREAS, *CALIBRATION)
    note = "Softmax confidence of each; in brackets how many classifiers."
    return [StudyTable("Classifiers trained for it.", "trained with", columns, rows, note)]


def _row(trained_for: str, alike: Sequence[Subject]) -> Row:
    return row_of(f"{trained_for} ({len(alike)})", [baseline_measures(subject) for subject in alike])
