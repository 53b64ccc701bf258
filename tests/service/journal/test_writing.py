"""What becomes of recorded answers while the database is well."""

import math
import sqlite3

from service.journal.buffer import AnswerBuffer
from service.journal.records import DropReason, Label
from tests.service.journal.examples import answer
from tests.waiting import wait_until


def test_answers_are_written_without_anybody_asking(journal):
    for i in range(3):
        journal.record(answer(str(i)))
    wait_until(lambda: journal.counts.written == 3)
    assert journal.counts.buffered == 0
    assert journal.counts.up
    assert not any(journal.counts.dropped.values())


def test_closing_writes_what_is_buffered(url, open_one):
    journal = open_one(url)
    for i in range(100):
        journal.record(answer(str(i)))
    journal.close()
    assert journal.counts.written == 100
    assert {each.outcome for each in open_one(url).label([Label(str(i), 0) for i in range(100)])} == {"accepted"}


def test_answer_after_closing_is_counted(journal):
    journal.close()
    journal.record(answer("a"))
    assert journal.counts.dropped[DropReason.closed] == 1


def test_of_two_answers_with_one_request_id_the_first_stays(journal):
    journal.record(answer("a", class_index=1))
    journal.record(answer("a", class_index=2))
    wait_until(lambda: journal.counts.written == 1)
    journal.record(answer("a", class_index=3))
    wait_until(lambda: journal.counts.dropped[DropReason.duplicate] == 2)
    (labelled,) = journal.label([Label("a", 1)])
    assert labelled.answer.class_index == 1
    assert journal.counts.written == 1


def test_answer_that_no_database_takes_is_dropped_alone(journal):
    for request_id in ("a", "\ud800", "b"):
        journal.record(answer(request_id))
    wait_until(lambda: journal.counts.written == 2)
    assert journal.counts.dropped[DropReason.refused] == 1
    assert journal.counts.up
    assert {each.outcome for each in journal.label([Label("a", 1), Label("b", 1)])} == {"accepted"}


def test_answer_without_a_number_for_trust_is_dropped_alone(tmp_path, open_one):
    journal = open_one(f"sqlite:///{tmp_path}/journal.sqlite")
    for request_id, trust in [("a", 0.5), ("b", math.nan)]:
        journal.record(answer(request_id, trust=trust))
    # What is dropped is counted after what is written.
    wait_until(lambda: journal.counts.dropped[DropReason.refused] == 1)
    assert journal.counts.written == 1


def test_answers_that_come_faster_than_they_are_written_are_dropped_and_counted(tmp_path, open_one):
    journal = open_one(f"sqlite:///{tmp_path}/journal.sqlite?timeout=600", buffer=5)
    wait_until(lambda: journal.counts.up)
    with sqlite3.connect(tmp_path / "journal.sqlite", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        for i in range(8):
            journal.record(answer(str(i)))
        assert journal.counts.buffered == 5
        assert journal.counts.dropped[DropReason.buffer_full] == 3
        other.execute("ROLLBACK")
    other.close()
    wait_until(lambda: journal.counts.written == 5)


def test_buffer_keeps_what_is_in_writing_until_it_is_written():
    buffer = AnswerBuffer(limit=3)
    assert buffer.add(map(answer, "aab")) == {DropReason.duplicate: 1, DropReason.buffer_full: 0}
    assert [each.request_id for each in buffer.take()] == ["a", "b"]
    assert buffer.add(map(answer, "acd")) == {DropReason.duplicate: 1, DropReason.buffer_full: 1}
    # Writing failed: the next attempt has them all.
    assert [each.request_id for each in buffer.take()] == ["a", "b", "c"]
    buffer.forget(buffer.take())
    assert len(buffer) == 0
    assert "a" not in buffer
