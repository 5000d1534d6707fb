"""What people can say of apps, keys, providers, configurations and users; parameter overrides; sessions."""

from __future__ import annotations

import base64
import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True)
_DESCRIPTION = ("description", sa.String(2000), "")
# Columns that existing rows get: name, type, and what they say there (None: nothing).
_NEW: dict[str, list[tuple[str, sa.types.TypeEngine[Any], str | None]]] = {
    "apps": [("allowed_models", sa.JSON(), None)],
    "api_keys": [
        ("scopes", sa.JSON(), '["inference"]'),
        ("expires_at", _INSTANT, None),
        ("allowed_addresses", sa.JSON(), None),
        ("allowed_models", sa.JSON(), None),
        ("replaced_by", sa.String(36), None),
    ],
    "providers": [
        _DESCRIPTION,
        ("credentials", sa.JSON(), "[]"),
        ("headers", sa.LargeBinary(), None),
        ("paths", sa.JSON(), "{}"),
        ("timeouts", sa.JSON(), "{}"),
        ("archived_at", _INSTANT, None),
    ],
    "configurations": [
        ("title", sa.String(200), ""),
        _DESCRIPTION,
        ("app_id", sa.String(36), None),
        ("is_default", sa.Boolean(), "0"),
        ("default_parameters", sa.JSON(), "{}"),
        ("use_cases", sa.JSON(), "[]"),
        ("requests_per_minute", sa.BigInteger(), None),
        ("tokens_per_minute", sa.BigInteger(), None),
    ],
    "aliases": [_DESCRIPTION],
    "users": [
        ("title", sa.String(200), ""),
        ("roles", sa.JSON(), "[]"),
        ("language", sa.String(10), ""),
    ],
}
_FOREIGN_KEY = "fk_configurations_app_id_apps"
_KEY_INDEX = "uq_api_keys_app_id_name_live"


def upgrade() -> None:
    """Add columns and tables. The one credential of a provider becomes the first of its keys."""
    for name, columns in _NEW.items():
        with op.batch_alter_table(name) as table:
            for column, kind, said in columns:
                is_open = said is None
                default = None if is_open else sa.false() if isinstance(kind, sa.Boolean) else said
                table.add_column(sa.Column(column, kind, nullable=is_open, server_default=default))
            if name == "configurations":
                table.create_foreign_key(_FOREIGN_KEY, "apps", ["app_id"], ["id"])
    _move_credentials_into_lists()
    with op.batch_alter_table("providers") as table:
        table.drop_column("credential")
    op.execute(sa.text("""UPDATE users SET roles = '["super-admin"]'"""))
    _index_keys("revoked_at IS NULL AND replaced_by IS NULL")
    op.create_index("ix_configurations_app_id", "configurations", ["app_id"])
    _index_default("uq_configurations_default", "is_default", "is_default AND app_id IS NULL")
    _index_default("uq_configurations_app_default", "app_id", "is_default AND app_id IS NOT NULL")
    _create_overrides()
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("user_id", sa.String(36), sa.ForeignKey("users.id"), nullable=False, index=True),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("seen_at", _INSTANT, nullable=False),
        sa.Column("expires_at", _INSTANT, nullable=False, index=True),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("agent", sa.String(500), nullable=False),
    )


def downgrade() -> None:
    """Drop them. Of a provider's keys the first one stays; rotated keys are revoked, for their names are taken."""
    op.drop_table("sessions")
    op.drop_table("overrides")
    op.drop_index("uq_configurations_app_default", "configurations")
    op.drop_index("uq_configurations_default", "configurations")
    op.drop_index("ix_configurations_app_id", "configurations")
    op.execute(sa.text("UPDATE api_keys SET revoked_at = updated_at WHERE replaced_by IS NOT NULL"))
    _index_keys("revoked_at IS NULL")
    with op.batch_alter_table("providers") as table:
        table.add_column(sa.Column("credential", sa.LargeBinary(), nullable=True))
    _move_credentials_back()
    for name, columns in _NEW.items():
        with op.batch_alter_table(name) as table:
            if name == "configurations":
                table.drop_constraint(_FOREIGN_KEY, type_="foreignkey")
            for column, _, _ in columns:
                table.drop_column(column)


def _create_overrides() -> None:
    op.create_table(
        "overrides",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("managed_by", sa.String(20), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("updated_at", _INSTANT, nullable=False),
        sa.Column("app_id", sa.String(36), sa.ForeignKey("apps.id"), nullable=False, index=True),
        sa.Column("configuration_id", sa.String(36), sa.ForeignKey("configurations.id"), nullable=True, index=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("description", sa.String(2000), nullable=False),
        sa.Column("context", sa.String(200), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("strategy", sa.String(20), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.UniqueConstraint("app_id", "name", name="uq_overrides_app_id_name"),
    )


def _index_keys(live: str) -> None:
    op.drop_index(_KEY_INDEX, "api_keys")
    where = sa.text(live)
    columns = ["app_id", "name"]
    op.create_index(_KEY_INDEX, "api_keys", columns, unique=True, sqlite_where=where, postgresql_where=where)


def _index_default(name: str, column: str, condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, "configurations", [column], unique=True, sqlite_where=where, postgresql_where=where)


def _move_credentials_into_lists() -> None:
    connection = op.get_bind()
    rows = connection.execute(sa.text("SELECT id, credential FROM providers WHERE credential IS NOT NULL")).all()
    for row_id, credential in rows:
        envelope = base64.b64encode(credential).decode()
        said = [{"name": "default", "envelope": envelope, "fingerprint": "", "is_enabled": True}]
        connection.execute(
            sa.text("UPDATE providers SET credentials = :said WHERE id = :id"), {"said": json.dumps(said), "id": row_id}
        )


def _move_credentials_back() -> None:
    connection = op.get_bind()
    for row_id, said in connection.execute(sa.text("SELECT id, credentials FROM providers")).all():
        keys = json.loads(said) if isinstance(said, str) else said
        if keys:
            connection.execute(
                sa.text("UPDATE providers SET credential = :envelope WHERE id = :id"),
                {"envelope": base64.b64decode(keys[0]["envelope"]), "id": row_id},
            )
