"""Policies: runs that wait for their turn, or no longer than they may."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "run_turn",
        sa.Column("run_id", _ID, autoincrement=False, nullable=False),
        sa.Column("job_id", _ID, nullable=True),
        sa.Column("at_once", sa.Integer(), nullable=False),
        sa.Column("spacing", _ID, nullable=True),
        sa.Column("not_before", _ID, nullable=True),
        sa.Column("expires_at", _ID, nullable=True),
        sa.Column("expires_as", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_run_turn")),
    )
    for name, column, condition in (
        ("expires_at", "expires_at", "expires_at IS NOT NULL"),
        ("not_before", "not_before", "not_before IS NOT NULL"),
        ("job", "job_id", "spacing IS NOT NULL"),
    ):
        where = sa.text(condition)
        op.create_index(f"ix_run_turn_{name}", "run_turn", [column], sqlite_where=where, postgresql_where=where)
    op.add_column("owner", sa.Column("node", sa.Text(), nullable=True))
    op.add_column("owner", sa.Column("seen_at", _ID, nullable=True))
