"""Tables of the control-plane database. A row is never deleted: it is disabled, so that ledgers can name it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, Dialect, ForeignKey, Index, LargeBinary, String, TypeDecorator, text
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column, relationship

from llm_manager.core.ids import uuid7

ENVIRONMENT, ADMIN = "environment", "admin"


class Instant(TypeDecorator[datetime]):
    """An aware UTC time; SQLite stores it without its zone, so the zone is put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        return value if value is None or value.tzinfo is not None else value.replace(tzinfo=UTC)


def _now() -> datetime:
    return datetime.now(UTC)


class Base(DeclarativeBase):
    """Every table of the control-plane database."""


class Table(Base):
    """What every row of a resource has. `revision` grows with every update: late news can be told from new ones."""

    __abstract__ = True
    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=uuid7)
    revision: Mapped[int] = mapped_column(nullable=False)
    is_enabled: Mapped[bool] = mapped_column(default=True)
    managed_by: Mapped[str] = mapped_column(String(20), default=ADMIN)
    created_at: Mapped[datetime] = mapped_column(Instant, default=_now)
    updated_at: Mapped[datetime] = mapped_column(Instant, default=_now, onupdate=_now)

    @declared_attr.directive
    @classmethod
    def __mapper_args__(cls) -> dict[str, Any]:  # SQLAlchemy's own type
        return {"version_id_col": cls.revision}


class App(Table):
    """A client application."""

    __tablename__ = "apps"
    name: Mapped[str] = mapped_column(String(200), unique=True)
    description: Mapped[str] = mapped_column(String(2000), default="", server_default="")


class Key(Table):
    """An API key; its id is part of the token, its hash is keyed."""

    __tablename__ = "api_keys"
    app_id: Mapped[str] = mapped_column(ForeignKey("apps.id"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    hash: Mapped[str] = mapped_column(String(64))
    revoked_at: Mapped[datetime | None] = mapped_column(Instant, default=None)
    app: Mapped[App] = relationship(lazy="joined", innerjoin=True)
    # a name may be taken again once its key is revoked
    __table_args__ = (
        Index(
            "uq_api_keys_app_id_name_live",
            "app_id",
            "name",
            unique=True,
            sqlite_where=text("revoked_at IS NULL"),
            postgresql_where=text("revoked_at IS NULL"),
        ),
    )


class Provider(Table):
    """An upstream; the credential is a sealed envelope."""

    __tablename__ = "providers"
    name: Mapped[str] = mapped_column(String(200), unique=True)
    kind: Mapped[str] = mapped_column(String(50))
    base_url: Mapped[str] = mapped_column(String(2000), default="")
    credential: Mapped[bytes | None] = mapped_column(LargeBinary, default=None)
    profile: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True), default=None)
    probing_until: Mapped[datetime | None] = mapped_column(Instant, default=None)


class Configuration(Table):
    """A named model ready to use."""

    __tablename__ = "configurations"
    name: Mapped[str] = mapped_column(String(512), unique=True)
    provider_id: Mapped[str] = mapped_column(ForeignKey("providers.id"), index=True)
    upstream_model: Mapped[str] = mapped_column(String(512))
    tags: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    adapts_parameters: Mapped[bool] = mapped_column(default=False)
    capabilities: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True), default=None)
    context_window: Mapped[int | None] = mapped_column(default=None)
    max_output_tokens: Mapped[int | None] = mapped_column(default=None)
    provider: Mapped[Provider] = relationship(lazy="joined", innerjoin=True)


class Alias(Table):
    """Another name of a configuration."""

    __tablename__ = "aliases"
    name: Mapped[str] = mapped_column(String(512), unique=True)
    configuration_id: Mapped[str] = mapped_column(ForeignKey("configurations.id"), index=True)
    configuration: Mapped[Configuration] = relationship(lazy="joined", innerjoin=True)


class User(Table):
    """A person; the password is hashed by argon2id."""

    __tablename__ = "users"
    name: Mapped[str] = mapped_column(String(200), unique=True)
    password_hash: Mapped[str] = mapped_column(String(200))


class StoredResponse(Table):
    """A response of the Responses API. Unlike every other row it is the content of an app: it is deleted when the app
    asks for it or its time is over. `input` and `response` are sealed envelopes.
    """

    __tablename__ = "stored_responses"
    # a provider's own id, which is longer than ours; unique for each app, whatever providers make up
    id: Mapped[str] = mapped_column(String(512), primary_key=True)
    app_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    previous_id: Mapped[str] = mapped_column(String(512), default="")
    model: Mapped[str] = mapped_column(String(512))
    provider: Mapped[str] = mapped_column(String(200))
    is_upstream: Mapped[bool] = mapped_column(default=False)
    expires_at: Mapped[datetime] = mapped_column(Instant, index=True)
    input: Mapped[bytes] = mapped_column(LargeBinary)
    response: Mapped[bytes] = mapped_column(LargeBinary)
