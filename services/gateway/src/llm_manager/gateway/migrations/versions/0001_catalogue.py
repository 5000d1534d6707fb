"""Apps, API keys, providers, configurations, aliases, users."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.sql.schema import SchemaItem

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)


def _create(name: str, *columns: SchemaItem) -> None:
    op.create_table(
        name,
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("managed_by", sa.String(20), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("updated_at", _INSTANT, nullable=False),
        *columns,
    )


def upgrade() -> None:
    """Create the tables, parents first."""
    _create("apps", sa.Column("name", sa.String(200), nullable=False, unique=True))
    _create(
        "api_keys",
        sa.Column("app_id", sa.String(36), sa.ForeignKey("apps.id"), nullable=False, index=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("revoked_at", _INSTANT, nullable=True),
    )
    live = sa.text("revoked_at IS NULL")
    op.create_index(
        "uq_api_keys_app_id_name_live",
        "api_keys",
        ["app_id", "name"],
        unique=True,
        sqlite_where=live,
        postgresql_where=live,
    )
    _create(
        "providers",
        sa.Column("name", sa.String(200), nullable=False, unique=True),
        sa.Column("kind", sa.String(50), nullable=False),
        sa.Column("base_url", sa.String(2000), nullable=False),
        sa.Column("credential", sa.LargeBinary(), nullable=True),
    )
    _create(
        "configurations",
        sa.Column("name", sa.String(512), nullable=False, unique=True),
        sa.Column("provider_id", sa.String(36), sa.ForeignKey("providers.id"), nullable=False, index=True),
        sa.Column("upstream_model", sa.String(512), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
    )
    _create(
        "aliases",
        sa.Column("name", sa.String(512), nullable=False, unique=True),
        sa.Column("configuration_id", sa.String(36), sa.ForeignKey("configurations.id"), nullable=False, index=True),
    )
    _create(
        "users",
        sa.Column("name", sa.String(200), nullable=False, unique=True),
        sa.Column("password_hash", sa.String(200), nullable=False),
    )


def downgrade() -> None:
    """Drop the tables, children first."""
    for name in ("users", "aliases", "configurations", "providers", "api_keys", "apps"):
        op.drop_table(name)
