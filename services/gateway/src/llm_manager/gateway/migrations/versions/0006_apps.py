"""What an app is for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column; nothing is said of existing apps."""
    with op.batch_alter_table("apps") as table:
        table.add_column(sa.Column("description", sa.String(2000), nullable=False, server_default=""))


def downgrade() -> None:
    """Drop it."""
    with op.batch_alter_table("apps") as table:
        table.drop_column("description")
