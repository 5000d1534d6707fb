"""What hashes are keyed by, apart from the master key."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table; the next start fills it with what the master key made of each purpose so far."""
    op.create_table(
        "hash_secrets",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("managed_by", sa.String(20), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("name", sa.String(50), nullable=False, unique=True),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
    )


def downgrade() -> None:
    """Drop it: after a rotation every API key has to be made anew, as the earlier version does it anyway."""
    op.drop_table("hash_secrets")
