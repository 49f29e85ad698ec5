"""The fleet: how runs spread over hosts, host locks, dynamic groups, evidence."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    for column in (
        sa.Column("site", sa.Text(), nullable=True),
        sa.Column("batch", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("not_before", _ID, nullable=True),
        sa.Column("waiting_for", sa.Text(), nullable=True),
    ):
        op.add_column("run_target", column)
    op.drop_index("ix_run_target_queued", "run_target")
    for name, columns, condition in (
        ("queued", "priority DESC, id, site", "state = 'queued' AND waiting_for IS NULL"),
        ("parked", "not_before", "state = 'queued' AND waiting_for IS NOT NULL"),
        ("locked_out", "host", "state = 'queued' AND reason = 'host_locked'"),
        ("at_work", "run_id, site", "state = 'running'"),
        ("open_batch", "run_id, batch", "batch > 0 AND finished_at IS NULL"),
        ("unknown", "host", "state = 'unknown'"),
    ):
        op.execute(f"CREATE INDEX ix_run_target_{name} ON run_target ({columns}) WHERE {condition}")
    op.add_column("attempt", sa.Column("evidence", sa.Text(), nullable=True))
    op.add_column("host_group", sa.Column("description", sa.Text(), nullable=False, server_default=""))
    op.add_column("host_group", sa.Column("selector", sa.Text(), nullable=True))
    op.create_table(
        "run_fanout",
        sa.Column("run_id", _ID, autoincrement=False, nullable=False),
        sa.Column("rules", sa.Text(), nullable=False),
        sa.Column("on_offline", sa.Text(), nullable=False),
        sa.Column("lock_hosts", sa.Boolean(), nullable=False),
        sa.Column("spacing", _ID, nullable=True),
        sa.Column("last_batch", sa.Integer(), nullable=False),
        sa.Column("batch_pause", _ID, nullable=False),
        sa.Column("max_fail", sa.Integer(), nullable=True),
        sa.Column("open_batch", sa.Integer(), nullable=False),
        sa.Column("next_start_at", _ID, nullable=True),
        sa.Column("bad", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", name=op.f("pk_run_fanout")),
    )
    op.create_index(
        "ix_run_fanout_next_start_at",
        "run_fanout",
        ["next_start_at"],
        sqlite_where=sa.text("next_start_at IS NOT NULL"),
        postgresql_where=sa.text("next_start_at IS NOT NULL"),
    )
    op.create_table(
        "host_lock",
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("run_id", _ID, nullable=False),
        sa.Column("run_target_id", _ID, nullable=False),
        sa.Column("at", _ID, nullable=False),
        sa.PrimaryKeyConstraint("host", name=op.f("pk_host_lock")),
        sa.UniqueConstraint("run_target_id", name=op.f("uq_host_lock_run_target_id")),
    )
