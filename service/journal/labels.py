"""Labels meet their answers: what becomes of each, the same whichever replica asks, and however often."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, bindparam, select

from service.journal.records import AnswerRecord, Label, Labelled, Outcome
from service.journal.tables import ANSWERS, EXPIRED, LABELS, insert_new

_AT_ONCE = 1_000
"""Request ids in one query; either database takes some ten thousand."""


def keep_labels(connection: Connection, labels: Sequence[Label], now: float, oldest: float) -> list[Labelled]:
    """What becomes of each label, in their order; keeps the first of each answer, in the caller's transaction.

    Args:
        now: when the labels came, epoch seconds.
        oldest: an answer from before is past the retention, whether it has been removed already or not.
    """
    # Everybody inserts in one order: two who labelled the same answers in different ones would wait for each other.
    request_ids = sorted({label.request_id for label in labels if _is_possible(label.request_id)})
    present = _answers(connection, request_ids)
    answers = {request_id: answer for request_id, answer in present.items() if answer.answered_at >= oldest}
    expired = {*present, *_expired(connection, request_ids)} - answers.keys()
    new = _insert_first(connection, [label for label in labels if label.request_id in answers], now)
    kept = _kept(connection, sorted(answers))

    def outcome(label: Label) -> Outcome:
        if label.request_id not in answers:
            return Outcome.expired if label.request_id in expired else Outcome.unknown
        if label.request_id in new:
            # Of several in this very list only the first one is.
            new.remove(label.request_id)
            return Outcome.accepted
        same = kept[label.request_id].class_index == label.class_index
        return Outcome.repeated if same else Outcome.contradicting

    return [
        Labelled(label, outcome(label), answers.get(label.request_id), now, kept.get(label.request_id))
        for label in labels
    ]


def _is_possible(request_id: str) -> bool:
    # What a database could not even be asked for (a null character, half a surrogate) was never a request id.
    return request_id.isascii() and request_id.isprintable()


def _answers(connection: Connection, request_ids: Sequence[str]) -> dict[str, AnswerRecord]:
    # The lock keeps the retention from removing them before the labels are in; SQLite has one writer anyway.
    query = select(ANSWERS).with_for_update(read=True, key_share=True)
    return {row["request_id"]: AnswerRecord(**row) for row in _rows(connection, query, request_ids)}


def _expired(connection: Connection, request_ids: Sequence[str]) -> Iterator[str]:
    return (row["request_id"] for row in _rows(connection, select(EXPIRED), request_ids))


def _kept(connection: Connection, request_ids: Sequence[str]) -> dict[str, Label]:
    query = select(LABELS.c.request_id, LABELS.c.class_index, LABELS.c.sampling_probability)
    return {row["request_id"]: Label(**row) for row in _rows(connection, query, request_ids)}


def _rows(connection: Connection, query: Select[Any], request_ids: Sequence[str]) -> Iterator[RowMapping]:
    key = query.selected_columns.request_id
    # The ids beside the statement, not in it: a statement is left to the garbage collector, with all that is in it.
    some = query.where(key.in_(bindparam("request_ids", expanding=True))).order_by(key)
    for start in range(0, len(request_ids), _AT_ONCE):
        yield from connection.execute(some, {"request_ids": request_ids[start : start + _AT_ONCE]}).mappings()


def _insert_first(connection: Connection, labels: Collection[Label], now: float) -> set[str]:
    """Inserts the first label of each answer that has none yet; the ids of these answers."""
    first: dict[str, Label] = {}
    for label in labels:
        first.setdefault(label.request_id, label)
    if not first:
        return set()
    rows = [
        {
            "request_id": request_id,
            "class_index": label.class_index,
            "sampling_probability": label.sampling_probability,
            "received_at": now,
        }
        for request_id, label in sorted(first.items())
    ]
    return set(connection.execute(insert_new(connection, LABELS).returning(LABELS.c.request_id), rows).scalars())
