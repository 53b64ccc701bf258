"""Labels and their answers, the same on SQLite and on PostgreSQL."""

import gc
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.journal.records import Label, Outcome
from tests.service.journal.examples import NOON, answer
from tests.waiting import wait_until

DAY = 86_400.0


def outcomes(journal, *labels):
    return [labelled.outcome for labelled in journal.label(labels)]


def test_label_finds_an_answer_that_was_recorded_just_now(journal):
    recorded = answer("a", trust=1 / 3, novelty=None)
    journal.record(recorded)
    (labelled,) = journal.label([Label("a", 2, 0.5)])
    assert labelled.outcome is Outcome.accepted
    assert labelled.answer == recorded
    assert labelled.kept == labelled.label == Label("a", 2, 0.5)
    assert labelled.received_at == NOON


def test_first_label_stays_whatever_comes_after(journal):
    journal.record(answer("a"))
    assert outcomes(journal, Label("a", 7)) == ["accepted"]
    assert outcomes(journal, Label("a", 7)) == ["repeated"]
    (labelled,) = journal.label([Label("a", 8)])
    assert labelled.outcome is Outcome.contradicting
    assert labelled.kept == Label("a", 7)
    assert outcomes(journal, Label("a", 7)) == ["repeated"]


def test_several_labels_of_one_answer_in_one_call_are_taken_in_their_order(journal):
    journal.record(answer("a"))
    same = Label("a", 1)
    assert outcomes(journal, same, Label("a", 2), same) == ["accepted", "contradicting", "repeated"]


def test_outcomes_come_in_the_order_of_many_labels(journal):
    for i in range(0, 3_000, 2):
        journal.record(answer(str(i)))
    labelled = journal.label([Label(str(i), 0) for i in range(3_000)])
    assert [each.outcome for each in labelled] == ["accepted", "unknown"] * 1_500
    assert [each.answer and each.answer.request_id for each in labelled[:3]] == ["0", None, "2"]


@pytest.mark.parametrize("request_id", ["", "b", "a'; DROP TABLE answers; --", "a\0", "\ud800", "a" * 100_000])
def test_label_for_an_answer_that_never_was_is_unknown(journal, request_id):
    journal.record(answer("a"))
    assert outcomes(journal, Label(request_id, 1), Label("a", 1)) == ["unknown", "accepted"]


def test_label_counts_up_to_the_last_moment_of_the_retention(url, open_one):
    now = [NOON]
    journal = open_one(url, days=30, clock=lambda: now[0])
    journal.record(answer("a"))
    journal.record(answer("b"))
    now[0] = NOON + 30 * DAY
    assert outcomes(journal, Label("a", 1)) == ["accepted"]
    now[0] = NOON + 30 * DAY + 1
    assert outcomes(journal, Label("a", 1), Label("b", 1)) == ["expired", "expired"]


def test_clock_that_goes_backwards_loses_no_label(url, open_one):
    now = [NOON]
    journal = open_one(url, clock=lambda: now[0])
    journal.record(answer("a"))
    now[0] = NOON - 365 * DAY
    assert outcomes(journal, Label("a", 1)) == ["accepted"]
    assert outcomes(journal, Label("a", 1)) == ["repeated"]


def test_replica_knows_what_another_one_has_committed(url, open_one):
    one, other = open_one(url), open_one(url)
    one.record(answer("a"))
    wait_until(lambda: one.counts.written == 1)
    assert outcomes(other, Label("a", 1)) == ["accepted"]
    assert outcomes(one, Label("a", 2)) == ["contradicting"]


def test_of_replicas_that_label_at_once_exactly_one_is_accepted(url, open_one):
    replicas = [open_one(url) for _ in range(4)]
    for i in range(50):
        replicas[0].record(answer(str(i)))
    wait_until(lambda: replicas[0].counts.written == 50)
    ready = threading.Barrier(4)

    def label(replica):
        ready.wait()
        # Half of them backwards: in whatever order, nobody waits for each other in a circle.
        order = range(50) if replica % 2 else reversed(range(50))
        return {
            int(each.label.request_id): each
            for each in replicas[replica].label([Label(str(i), replica) for i in order])
        }

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(label, range(4)))
    for i in range(50):
        accepted = [each[i].label.class_index for each in answers if each[i].outcome is Outcome.accepted]
        assert len(accepted) == 1
        assert {each[i].kept.class_index for each in answers} == set(accepted)
        assert sorted(each[i].outcome for each in answers) == ["accepted"] + ["contradicting"] * 3


def test_many_labels_leave_no_more_to_the_garbage_collector_than_one(journal):
    def left(labels: int, calls: int = 10) -> float:
        """Blocks of memory a call, before the collector looks."""

        def ask() -> None:
            # Ids of their own, as each request has.
            assert {each.outcome for each in journal.label([Label(f"id-{i}", 1) for i in range(labels)])} == {"unknown"}

        ask()
        gc.collect()
        gc.disable()
        try:
            before = sys.getallocatedblocks()
            for _ in range(calls):
                ask()
            return (sys.getallocatedblocks() - before) / calls
        finally:
            gc.enable()

    assert left(500) < left(1) + 100
