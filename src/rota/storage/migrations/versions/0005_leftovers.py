"""What retention needs to let go of what nobody refers to any more: a timetable's triggers, and versions that keep their
number when older ones go."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_trigger_timetable", "trigger", ["timetable_id"])
    op.add_column("host_version", sa.Column("number", sa.Integer(), server_default="1", nullable=False))
    op.execute(
        "UPDATE host_version SET number = counted.number FROM"
        " (SELECT id, row_number() OVER (PARTITION BY host_id ORDER BY id) AS number FROM host_version) AS counted"
        " WHERE counted.id = host_version.id"
    )
