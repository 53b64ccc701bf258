"""Labelled answers of a model as numpy columns: read in pieces, the newest ones up to a limit."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sqlalchemy import Connection, select

from service.journal.records import LabelledColumns
from service.journal.tables import ANSWERS, LABELS

_PIECE = 5_000

_COLUMNS = {
    "answered_at": (ANSWERS.c.answered_at, np.float64),
    "received_at": (LABELS.c.received_at, np.float64),
    "target": (LABELS.c.class_index, np.int64),
    "predicted": (ANSWERS.c.class_index, np.int64),
    "confidence": (ANSWERS.c.confidence, np.float64),
    "trust": (ANSWERS.c.trust, np.float64),
    "threshold": (ANSWERS.c.threshold, np.float64),
    "trusted": (ANSWERS.c.trusted, np.bool_),
    "question_answer_estimate": (ANSWERS.c.question_answer_estimate, np.float64),
    "novelty": (ANSWERS.c.novelty, np.float64),
    "sampling_probability": (LABELS.c.sampling_probability, np.float64),
}


def read_labelled(
    connection: Connection, model: str, version: str, since: float, until: float, limit: int
) -> LabelledColumns:
    """Labelled answers of a model's version in [since, until), epoch seconds of the answer; the newest `limit`."""
    query = (
        select(*(column.label(name) for name, (column, _) in _COLUMNS.items()), ANSWERS.c.head_inputs)
        .join_from(ANSWERS, LABELS)
        .where(ANSWERS.c.model == model, ANSWERS.c.version == version)
        .where(ANSWERS.c.answered_at >= since, ANSWERS.c.answered_at < until)
        .order_by(ANSWERS.c.answered_at.desc())
        # One more says whether there are more.
        .limit(limit + 1)
    )
    result = connection.execution_options(yield_per=_PIECE).execute(query)
    pieces = [_arrays(rows) for rows in result.partitions()] or [_arrays([])]
    columns = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
    complete = len(columns["trust"]) <= limit
    return LabelledColumns(**{name: column[:limit][::-1] for name, column in columns.items()}, complete=complete)


def _arrays(rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """Columns of some rows, (n,) each, and their head inputs (n, I)."""
    *columns, head_inputs = list(zip(*rows, strict=True)) or [()] * (len(_COLUMNS) + 1)
    arrays: dict[str, Any] = {
        name: np.array(column, dtype)  # None becomes nan
        for (name, (_, dtype)), column in zip(_COLUMNS.items(), columns, strict=True)
    }
    inputs = np.frombuffer(b"".join(head_inputs), "<f4").astype(np.float32)
    return arrays | {"head_inputs": inputs.reshape(len(rows), -1) if rows else inputs.reshape(0, 0)}
