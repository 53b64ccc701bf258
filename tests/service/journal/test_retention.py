"""What leaves the journal, when, and what is still known of it then."""

import gc

from sqlalchemy import func, select

from service.journal import retention
from service.journal.database import open_engine, writing
from service.journal.labels import keep_labels
from service.journal.records import Label
from service.journal.retention import Retention, sweep
from service.journal.tables import ANSWERS, EXPIRED, LABELS
from tests.service.journal.examples import NOON, answer
from tests.waiting import wait_until

DAY = 86_400.0
LONG_AGO = NOON - 45 * DAY


def counts(engine):
    with engine.connect() as connection:
        return [
            connection.execute(select(func.count()).select_from(table)).scalar() for table in (ANSWERS, LABELS, EXPIRED)
        ]


def outcomes(journal, *request_ids):
    return [each.outcome for each in journal.label([Label(request_id, 1) for request_id in request_ids])]


def fill(journal, *answers):
    """Returns once the answers are in the database."""
    for each in answers:
        journal.record(each)
    wait_until(lambda: journal.counts.written == len(answers))


def test_old_answers_leave_by_themselves(url, engine, open_one):
    first = open_one(url, clock=lambda: LONG_AGO)
    fill(first, answer("old", answered_at=LONG_AGO), answer("new"))
    outcomes(first, "old")
    first.close()
    journal = open_one(url)
    wait_until(lambda: counts(engine) == [1, 0, 1])
    assert outcomes(journal, "old", "new", "never") == ["expired", "accepted", "unknown"]


def test_only_the_newest_answers_stay_where_there_are_more_than_rows(journal, engine):
    fill(journal, *(answer(str(i), answered_at=NOON + i) for i in range(10)))
    list(sweep(engine, Retention(days=30, rows=3), NOON))
    assert outcomes(journal, "9", "8", "7", "6", "4") == ["accepted"] * 3 + ["expired"] * 2


def test_id_of_an_answer_that_left_is_forgotten_after_as_long_again(journal, engine):
    fill(journal, answer("a", answered_at=NOON))
    thirty = Retention(days=30, rows=100)
    list(sweep(engine, thirty, NOON + 31 * DAY))
    list(sweep(engine, thirty, NOON + 60 * DAY))
    assert outcomes(journal, "a") == ["expired"]
    list(sweep(engine, thirty, NOON + 61 * DAY))
    assert outcomes(journal, "a") == ["unknown"]


def test_no_more_ids_are_remembered_than_rows(journal, engine):
    fill(journal, *(answer(str(i), answered_at=NOON + i) for i in range(9)))
    list(sweep(engine, Retention(days=30, rows=3), NOON))
    assert counts(engine) == [3, 0, 3]
    assert outcomes(journal, "2", "3") == ["unknown", "expired"]


def test_sweep_goes_on_piece_by_piece(journal, engine, monkeypatch):
    monkeypatch.setattr(retention, "PIECE", 4)
    fill(journal, *(answer(str(i), answered_at=NOON + i) for i in range(12)))
    left = [(taken, counts(engine)[0]) for taken in sweep(engine, Retention(days=30, rows=2), NOON)]
    assert left[:3] == [(4, 8), (4, 4), (2, 2)]


def test_sweep_leaves_nothing_to_the_garbage_collector(journal, engine, monkeypatch):
    monkeypatch.setattr(retention, "PIECE", 2)
    fill(journal, *(answer(str(i), answered_at=NOON + i) for i in range(40)))
    steps = sweep(engine, Retention(days=30, rows=2), NOON)
    # The first make what stays.
    for _ in range(3):
        next(steps)
    gc.collect()
    gc.disable()
    try:
        assert len([next(steps) for _ in range(10)]) == 10
        left = gc.collect()
    finally:
        gc.enable()
    assert left < 10


def test_answer_that_is_being_labelled_is_left_to_the_next_sweep(postgres, open_one):
    url = postgres.empty_database()
    journal, engine = open_one(url), open_engine(url)
    fill(journal, answer("a"), answer("b"))
    beginning_of_time = 0.0
    with writing(engine) as labelling:
        keep_labels(labelling, [Label("a", 1)], NOON, beginning_of_time)
        list(sweep(engine, Retention(days=30, rows=100), NOON + 31 * DAY))
        assert counts(engine)[0] == 1
    assert counts(engine) == [1, 1, 1]
    list(sweep(engine, Retention(days=30, rows=100), NOON + 31 * DAY))
    assert counts(engine) == [0, 0, 2]
