"""What was found out about a provider of a kind without fixed abilities."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; nothing is known about existing providers."""
    with op.batch_alter_table("providers") as table:
        table.add_column(sa.Column("profile", sa.JSON(), nullable=True))
        table.add_column(sa.Column("probing_until", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    """Drop them."""
    with op.batch_alter_table("providers") as table:
        for name in ("probing_until", "profile"):
            table.drop_column(name)
