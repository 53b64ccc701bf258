"""Labelled answers as columns."""

import numpy as np
import pytest

from service.journal import columns
from service.journal.records import Label
from tests.service.journal.examples import NOON, answer, head_inputs


def test_columns_hold_what_was_recorded_and_labelled(journal):
    journal.record(
        answer("b", answered_at=NOON + 1, trust=0.25, trusted=False, novelty=None, head_inputs=head_inputs(3, 4))
    )
    journal.record(answer("a", answered_at=NOON, class_index=5))
    journal.record(answer("without label"))
    journal.label([Label("a", 6), Label("b", 2, sampling_probability=0.5)])
    found = journal.labelled("shoes", "1", NOON, NOON + 2)
    assert found.answered_at.tolist() == [NOON, NOON + 1]
    assert found.received_at.tolist() == [NOON, NOON]
    assert found.target.tolist() == [6, 2]
    assert found.predicted.tolist() == [5, 2]
    assert found.confidence.tolist() == [0.9, 0.9]
    assert found.trust.tolist() == [0.8, 0.25]
    assert found.threshold.tolist() == [0.7, 0.7]
    assert found.trusted.tolist() == [True, False]
    assert found.question_answer_estimate.tolist() == [0.74, 0.74]
    assert found.sampling_probability.tolist() == [1.0, 0.5]
    np.testing.assert_array_equal(found.novelty, [0.25, np.nan])
    np.testing.assert_array_equal(found.head_inputs, np.array([[2.5, -1], [3, 4]], np.float32))
    assert found.complete


def test_columns_are_of_one_model_version_and_time(journal):
    journal.record(answer("before", answered_at=NOON - 1))
    journal.record(answer("first", answered_at=NOON))
    journal.record(answer("end", answered_at=NOON + 10))
    journal.record(answer("other model", model="bags"))
    journal.record(answer("other version", version="2", head_inputs=head_inputs(1)))
    journal.label([Label(key, 3) for key in ("before", "first", "end", "other model", "other version")])
    assert journal.labelled("shoes", "1", NOON, NOON + 10).answered_at.tolist() == [NOON]
    assert journal.labelled("shoes", "2", NOON, NOON + 10).head_inputs.tolist() == [[1]]


def test_only_the_newest_come_where_there_are_more_than_the_limit(journal, monkeypatch):
    monkeypatch.setattr(columns, "_PIECE", 3)
    for i in range(10):
        journal.record(answer(str(i), answered_at=NOON + i))
    journal.label([Label(str(i), i) for i in range(10)])
    found = journal.labelled("shoes", "1", 0, NOON + 100, limit=7)
    assert found.target.tolist() == [3, 4, 5, 6, 7, 8, 9]
    assert not found.complete
    assert journal.labelled("shoes", "1", 0, NOON + 100, limit=10).complete


def test_without_labels_every_column_is_empty(journal):
    journal.record(answer("a"))
    found = journal.labelled("shoes", "1", 0, NOON + 1)
    assert found.trust.shape == (0,)
    assert len(found.head_inputs) == 0
    assert found.complete


@pytest.mark.parametrize(("since", "until"), [(NOON + 5, NOON), (-1e300, -1e299), (float("nan"), float("nan"))])
def test_range_without_any_time_in_it_is_empty(journal, since, until):
    journal.record(answer("a"))
    journal.label([Label("a", 1)])
    assert len(journal.labelled("shoes", "1", since, until).trust) == 0
