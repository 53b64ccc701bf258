"""Answers to journal, and what to wait for."""

from typing import Any

import numpy as np

from service.journal.records import AnswerRecord

NOON = 1_700_000_000.0


def head_inputs(*values: float) -> bytes:
    """As the journal keeps them."""
    return np.array(values, "<f4").tobytes()


def answer(request_id: str, **changes: Any) -> AnswerRecord:
    """An answer made at NOON by version 1 of the model "shoes"."""
    fields: dict[str, Any] = {
        "request_id": request_id,
        "answered_at": NOON,
        "model": "shoes",
        "version": "1",
        "class_index": 2,
        "confidence": 0.9,
        "trust": 0.8,
        "threshold": 0.7,
        "trusted": True,
        "question_answer_estimate": 0.74,
        "head_inputs": head_inputs(2.5, -1.0),
        "novelty": 0.25,
    }
    return AnswerRecord(**(fields | changes))
