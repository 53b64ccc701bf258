"""Answers, their labels, and the ids of answers past the retention."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "answers",
        sa.Column("request_id", sa.Text, primary_key=True),
        sa.Column("answered_at", sa.Double, nullable=False, index=True),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("class_index", sa.Integer, nullable=False),
        sa.Column("confidence", sa.Double, nullable=False),
        sa.Column("trust", sa.Double, nullable=False),
        sa.Column("threshold", sa.Double, nullable=False),
        sa.Column("trusted", sa.Boolean, nullable=False),
        sa.Column("question_answer_estimate", sa.Double, nullable=False),
        sa.Column("head_inputs", sa.LargeBinary, nullable=False),
        sa.Column("novelty", sa.Double),
    )
    op.create_table(
        "labels",
        sa.Column("request_id", sa.Text, sa.ForeignKey("answers.request_id", ondelete="CASCADE"), primary_key=True),
        sa.Column("class_index", sa.Integer, nullable=False),
        sa.Column("sampling_probability", sa.Double, nullable=False),
        sa.Column("received_at", sa.Double, nullable=False),
    )
    op.create_table(
        "expired",
        sa.Column("request_id", sa.Text, primary_key=True),
        sa.Column("answered_at", sa.Double, nullable=False, index=True),
    )


def downgrade() -> None:
    for table in ("labels", "answers", "expired"):
        op.drop_table(table)
