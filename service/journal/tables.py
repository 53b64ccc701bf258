"""The journal's tables as today's code sees them; `migrations/` says how a database comes to look so."""

from typing import TYPE_CHECKING

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Double,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.dialects import sqlite

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

METADATA = MetaData()

# Columns are named and ordered as the fields of AnswerRecord: a row is its fields.
ANSWERS = Table(
    "answers",
    METADATA,
    Column("request_id", Text, primary_key=True),
    Column("answered_at", Double, nullable=False, index=True),
    Column("model", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("class_index", Integer, nullable=False),
    Column("confidence", Double, nullable=False),
    Column("trust", Double, nullable=False),
    Column("threshold", Double, nullable=False),
    Column("trusted", Boolean, nullable=False),
    Column("question_answer_estimate", Double, nullable=False),
    Column("head_inputs", LargeBinary, nullable=False),
    Column("novelty", Double),
)

# The primary key is what makes the first label win, whichever process brings it.
LABELS = Table(
    "labels",
    METADATA,
    Column("request_id", Text, ForeignKey("answers.request_id", ondelete="CASCADE"), primary_key=True),
    Column("class_index", Integer, nullable=False),
    Column("sampling_probability", Double, nullable=False),
    Column("received_at", Double, nullable=False),
)

# What stays of an answer past the retention, so that its label is told from one for an answer that never was.
EXPIRED = Table(
    "expired",
    METADATA,
    Column("request_id", Text, primary_key=True),
    Column("answered_at", Double, nullable=False, index=True),
)


def insert_new(connection: Connection, table: Table) -> "sqlite.Insert | postgresql.Insert":
    """An insert that leaves rows alone whose key is there already."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    # Only here: it is 2.5 MB, and most journals are files.
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table).on_conflict_do_nothing()
