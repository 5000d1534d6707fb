"""Stored responses of the Responses API."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "stored_responses",
        sa.Column("id", sa.String(512), nullable=False),
        sa.Column("app_id", sa.String(36), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("managed_by", sa.String(20), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("updated_at", _INSTANT, nullable=False),
        sa.Column("previous_id", sa.String(512), nullable=False),
        sa.Column("model", sa.String(512), nullable=False),
        sa.Column("provider", sa.String(200), nullable=False),
        sa.Column("is_upstream", sa.Boolean(), nullable=False),
        sa.Column("expires_at", _INSTANT, nullable=False, index=True),
        sa.Column("input", sa.LargeBinary(), nullable=False),
        sa.Column("response", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", "app_id"),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("stored_responses")
