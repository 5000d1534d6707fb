"""What a configuration says about its model, and what becomes of parameters that it does not take."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; existing configurations say nothing and refuse, as before."""
    with op.batch_alter_table("configurations") as table:
        table.add_column(sa.Column("adapts_parameters", sa.Boolean(), nullable=False, server_default=sa.false()))
        table.add_column(sa.Column("capabilities", sa.JSON(), nullable=True))
        table.add_column(sa.Column("context_window", sa.Integer(), nullable=True))
        table.add_column(sa.Column("max_output_tokens", sa.Integer(), nullable=True))


def downgrade() -> None:
    """Drop them."""
    with op.batch_alter_table("configurations") as table:
        for name in ("max_output_tokens", "context_window", "capabilities", "adapts_parameters"):
            table.drop_column(name)
