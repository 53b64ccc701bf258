"""Sums over any span of the last week, against arithmetic."""

import math

import numpy as np
import pytest

from service.monitor.window import LONGEST_SECONDS, Observations, Sums, Window

NOON = 1_800_000_000 - 1_800_000_000 % 7200  # a full hour, and the edge of a bucket of every ring


def answer(at: float = NOON, class_index: int = 0, trust: float = 0.9, **changes) -> dict[str, float]:
    fields = {"trusted": trust >= 0.6, "confidence": 0.8, "question_answer": 0.7}
    fields |= {"p_value": math.nan, "image_p_value": math.nan} | changes
    return {"at": at, "class_index": class_index, "trust": trust, **fields}


def observations(*answers: dict[str, float]) -> Observations:
    kinds = {"class_index": int, "trusted": bool}
    return Observations(
        **{name: np.array([a[name] for a in answers], kinds.get(name, float)) for name in Observations._fields}
    )


def window_of(*answers: dict[str, float], classes: int = 3, now: float = NOON) -> Window:
    window = Window(classes)
    window.add(observations(*answers), now)
    return window


def test_sums_of_three_answers_are_those_of_the_arithmetic():
    answers = [
        answer(class_index=0, trust=0.9, confidence=0.8, question_answer=0.7, p_value=0.25),
        answer(class_index=2, trust=0.7, confidence=0.6, question_answer=0.5, image_p_value=0.75),
        answer(class_index=2, trust=0.1, confidence=0.4, question_answer=0.3, p_value=0.5),
    ]
    sums, _ = window_of(*answers).sums(60, NOON)
    assert sums.by_class("answers").tolist() == [1, 0, 2]
    assert sums.by_class("answers", trusted=True).tolist() == [1, 0, 1]
    assert sums.total("trust") == pytest.approx(0.9 + 0.7 + 0.1)
    assert sums.total("trust_squares") == pytest.approx(0.81 + 0.49 + 0.01)
    assert sums.total("confidence", trusted=False) == pytest.approx(0.4)
    assert sums.total("confidence_squares", trusted=True) == pytest.approx(0.64 + 0.36)
    assert sums.by_class("question_answer") == pytest.approx([0.7, 0, 0.8])
    assert sums.total("question_answer_squares") == pytest.approx(0.49 + 0.25 + 0.09)
    assert sums.p_values.tolist() == [2, 0.75]
    assert sums.image_p_values.tolist() == [1, 0.75]


def test_value_on_an_edge_counts_in_the_bin_below_as_in_prometheus():
    sums, _ = window_of(*(answer(trust=trust) for trust in (0.0, 0.05, 0.051, 1.0))).sums(60, NOON)
    assert sums.trust_bins.tolist() == [2, 1, *[0] * 17, 1]
    # Confidence .8 and question-answer trust .7 are edges too: bins 15 and 13.
    assert np.flatnonzero(sums.confidence_bins).tolist() == [15]
    assert np.argwhere(sums.question_answer_bins).tolist() == [[0, 13]]


@pytest.mark.parametrize(
    ("span", "expected"),
    [(10, 1), (60, 2), (600, 3), (3600, 4), (86_400, 5), (604_800, 6)],
)
def test_span_holds_the_answers_not_older_than_it(span, expected):
    # Each answer lies well within one span and well outside the one before.
    ages = [1, 40, 400, 3000, 50_000, 400_000, 700_000]
    window = Window(3)
    for age in reversed(ages):
        window.add(observations(answer(NOON - age)), NOON - age)
    window.add(observations(), NOON)
    sums, since = window.sums(span, NOON - 0.001)
    assert sums.total("answers") == expected
    assert NOON - span <= since <= NOON - span + 7200


def test_answers_age_out_bucket_by_bucket():
    window = window_of(answer(NOON))
    assert window.sums(60, NOON + 59)[0].total("answers") == 1
    assert window.sums(60, NOON + 60)[0].total("answers") == 0


def test_two_batches_in_one_bucket_add_up_and_the_first_result_stays_what_it_was():
    window = window_of(answer())
    before, _ = window.sums(60, NOON)
    window.add(observations(answer(), answer()), NOON)
    assert (before.total("answers"), window.sums(60, NOON)[0].total("answers")) == (1, 3)


def test_no_answers_add_nothing():
    window = window_of()
    assert window.sums(LONGEST_SECONDS, NOON)[0].values.sum() == 0


def test_clock_that_goes_back_loses_nothing_once_time_has_caught_up():
    window = window_of(answer(NOON))
    window.add(observations(answer(NOON - 30)), NOON - 30)
    assert window.sums(60, NOON - 30)[0].total("answers") == 1
    assert window.sums(60, NOON)[0].total("answers") == 2


def test_clock_that_was_years_ahead_leaves_nothing_behind():
    window = Window(3)
    window.add(observations(answer(NOON + 1e9)), NOON + 1e9)
    window.add(observations(answer(NOON)), NOON)
    assert [len(array) for name, array in window.arrays().items() if "numbers" in name] == [1, 1, 1, 1]
    assert window.sums(LONGEST_SECONDS, NOON)[0].total("answers") == 1


def test_what_is_kept_is_bounded_however_long_it_runs():
    window = Window(2)
    for hour in range(24 * 30):
        window.add(observations(answer(NOON + 3600 * hour)), NOON + 3600 * hour)
    buckets = {name: len(array) for name, array in window.arrays().items() if "numbers" in name}
    # An answer an hour: the bucket of this hour, the last day's 24, the last week's 84 of two hours.
    assert buckets == {"10.numbers": 1, "60.numbers": 1, "600.numbers": 24, "7200.numbers": 84}


def test_window_comes_back_from_its_arrays():
    window = window_of(answer(NOON - 100_000), answer(NOON, 2, trust=0.3, p_value=0.4))
    again = Window.from_arrays(3, window.arrays())
    for span in (10, 600, 86_400, 604_800):
        assert (again.sums(span, NOON)[0].values == window.sums(span, NOON)[0].values).all()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda arrays: arrays.pop("60.values"),
        lambda arrays: arrays.update({"10.numbers": np.array([1, 2, 3])}),
        lambda arrays: arrays.update({"10.values": arrays["10.values"] * np.nan}),
    ],
    ids=["missing", "of other length", "not a number"],
)
def test_arrays_that_are_no_window_are_refused(spoil):
    arrays = window_of(answer()).arrays()
    spoil(arrays)
    with pytest.raises(ValueError, match=r"buckets of (10|60) s"):
        Window.from_arrays(3, arrays)


def test_window_of_another_number_of_classes_is_refused():
    with pytest.raises(ValueError, match="those of 4 classes"):
        Window.from_arrays(4, window_of(answer()).arrays())


def test_many_answers_sum_as_numpy_sums_them():
    generator = np.random.default_rng(0)
    trust, index = generator.random(5000), generator.integers(0, 7, 5000)
    sums, _ = window_of(*map(answer, [NOON] * 5000, index, trust), classes=7).sums(10, NOON)
    assert sums.by_class("answers").tolist() == np.bincount(index).tolist()
    for k in range(7):
        assert sums.by_class("trust")[k] == pytest.approx(trust[index == k].sum())
    assert sums.trust_bins.tolist() == np.histogram(trust, 20, (0, 1))[0].tolist()
    assert Sums.size(7) == len(sums.values)
