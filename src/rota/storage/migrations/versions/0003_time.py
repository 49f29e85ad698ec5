"""Time: calendars, windows, pauses; more kinds of triggers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    event = sa.text("kind = 'continuous' OR kind = 'on_start'")
    op.create_index("ix_trigger_event", "trigger", ["id"], sqlite_where=event, postgresql_where=event)
    op.create_table(
        "run_quota",
        sa.Column("job_id", _ID, autoincrement=False, nullable=False),
        sa.Column("made", sa.Integer(), nullable=False),
        sa.Column("most", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_run_quota_job_id")),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_run_quota")),
    )
    op.create_table(
        "zone_data",
        sa.Column("id", _ID, nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("since", _ID, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_zone_data")),
    )
    op.add_column("due", sa.Column("deferred_by", sa.Text(), nullable=True))
    op.add_column("run", sa.Column("deferred_by", sa.Text(), nullable=True))
    op.create_table(
        "calendar",
        sa.Column("id", _ID, nullable=False),
        sa.Column("public_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("created_at", _ID, nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("updated_at", _ID, nullable=False),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calendar")),
        sa.UniqueConstraint("public_id", name=op.f("uq_calendar_public_id")),
        sa.UniqueConstraint("name", name=op.f("uq_calendar_name")),
    )
    op.create_table(
        "pause",
        sa.Column("id", _ID, nullable=False),
        sa.Column("public_id", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("job_id", _ID, nullable=True),
        sa.Column("since", _ID, nullable=False),
        sa.Column("until", _ID, nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("ended_at", _ID, nullable=True),
        sa.Column("ended_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pause")),
        sa.UniqueConstraint("public_id", name=op.f("uq_pause_public_id")),
    )
