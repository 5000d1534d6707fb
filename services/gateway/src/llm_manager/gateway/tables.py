"""Tables of the control-plane database. A row is never deleted: it is disabled, so that ledgers can name it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column, relationship

from llm_manager.core.ids import uuid7

ENVIRONMENT, ADMIN = "environment", "admin"
# What a key may do unless somebody says otherwise: call models.
FIRST_SCOPES = ("inference",)
_LIVE = text("revoked_at IS NULL AND replaced_by IS NULL")
_OF_ALL, _OF_ONE = text("is_default AND app_id IS NULL"), text("is_default AND app_id IS NOT NULL")


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
    allowed_models: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True), default=None)


class Key(Table):
    """An API key; its id is part of the token, its hash is keyed.

    `scopes` are what it may do, `allowed_addresses` the networks that it may come from (None: from anywhere),
    `replaced_by` the id of the key that it was rotated to.
    """

    __tablename__ = "api_keys"
    app_id: Mapped[str] = mapped_column(ForeignKey("apps.id"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    hash: Mapped[str] = mapped_column(String(64))
    revoked_at: Mapped[datetime | None] = mapped_column(Instant, default=None)
    scopes: Mapped[list[str]] = mapped_column(JSON, default=lambda: list(FIRST_SCOPES))
    expires_at: Mapped[datetime | None] = mapped_column(Instant, default=None)
    allowed_addresses: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True), default=None)
    allowed_models: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True), default=None)
    replaced_by: Mapped[str | None] = mapped_column(String(36), default=None)
    app: Mapped[App] = relationship(lazy="joined", innerjoin=True)
    # a name may be taken again once its key is revoked or was rotated
    __table_args__ = (
        Index(
            "uq_api_keys_app_id_name_live", "app_id", "name", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE
        ),
    )


class Provider(Table):
    """An upstream.

    `credentials` are `providers.rules.SealedKey`, `headers` one sealed JSON object, `paths` by operation, `timeouts` in
    seconds by the name of the limit. One that is archived serves nobody until it is restored.
    """

    __tablename__ = "providers"
    name: Mapped[str] = mapped_column(String(200), unique=True)
    description: Mapped[str] = mapped_column(String(2000), default="", server_default="")
    kind: Mapped[str] = mapped_column(String(50))
    base_url: Mapped[str] = mapped_column(String(2000), default="")
    credentials: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    headers: Mapped[bytes | None] = mapped_column(LargeBinary, default=None)
    paths: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    timeouts: Mapped[dict[str, float]] = mapped_column(JSON, default=dict)
    archived_at: Mapped[datetime | None] = mapped_column(Instant, default=None)
    profile: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True), default=None)
    probing_until: Mapped[datetime | None] = mapped_column(Instant, default=None)


class Configuration(Table):
    """A named model ready to use.

    `app_id` is of the one app that may use it, None for all; `default_parameters` are those of an OpenAI chat;
    `requests_per_minute` and `tokens_per_minute` are what the provider allows.
    """

    __tablename__ = "configurations"
    name: Mapped[str] = mapped_column(String(512), unique=True)
    title: Mapped[str] = mapped_column(String(200), default="", server_default="")
    description: Mapped[str] = mapped_column(String(2000), default="", server_default="")
    app_id: Mapped[str | None] = mapped_column(ForeignKey("apps.id"), index=True, default=None)
    is_default: Mapped[bool] = mapped_column(default=False)
    default_parameters: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    use_cases: Mapped[list[str]] = mapped_column(JSON, default=list)
    requests_per_minute: Mapped[int | None] = mapped_column(BigInteger, default=None)
    tokens_per_minute: Mapped[int | None] = mapped_column(BigInteger, default=None)
    provider_id: Mapped[str] = mapped_column(ForeignKey("providers.id"), index=True)
    upstream_model: Mapped[str] = mapped_column(String(512), default="")
    tags: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    adapts_parameters: Mapped[bool] = mapped_column(default=False)
    capabilities: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True), default=None)
    context_window: Mapped[int | None] = mapped_column(default=None)
    max_output_tokens: Mapped[int | None] = mapped_column(default=None)
    provider: Mapped[Provider] = relationship(lazy="joined", innerjoin=True)
    app: Mapped[App | None] = relationship(lazy="joined")
    # one for each app and one for everybody; NULLs are all different to an index, so that takes two
    __table_args__ = (
        Index("uq_configurations_default", "is_default", unique=True, sqlite_where=_OF_ALL, postgresql_where=_OF_ALL),
        Index("uq_configurations_app_default", "app_id", unique=True, sqlite_where=_OF_ONE, postgresql_where=_OF_ONE),
    )


class Alias(Table):
    """Another name of a configuration."""

    __tablename__ = "aliases"
    name: Mapped[str] = mapped_column(String(512), unique=True)
    description: Mapped[str] = mapped_column(String(2000), default="", server_default="")
    configuration_id: Mapped[str] = mapped_column(ForeignKey("configurations.id"), index=True)
    configuration: Mapped[Configuration] = relationship(lazy="joined", innerjoin=True)


class Override(Table):
    """Parameters that an app's calls get. `configuration_id` None means all of its configurations, `context` empty any
    context. Those of a higher priority are merged later.
    """

    __tablename__ = "overrides"
    app_id: Mapped[str] = mapped_column(ForeignKey("apps.id"), index=True)
    configuration_id: Mapped[str | None] = mapped_column(ForeignKey("configurations.id"), index=True, default=None)
    name: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(String(2000), default="")
    context: Mapped[str] = mapped_column(String(200), default="")
    parameters: Mapped[dict[str, Any]] = mapped_column(JSON)
    strategy: Mapped[str] = mapped_column(String(20))
    priority: Mapped[int] = mapped_column(default=0)
    app: Mapped[App] = relationship(lazy="joined", innerjoin=True)
    configuration: Mapped[Configuration | None] = relationship(lazy="joined")
    __table_args__ = (UniqueConstraint("app_id", "name", name="uq_overrides_app_id_name"),)


class HashSecret(Table):
    """What hashes are keyed by, sealed: the hashes of API keys and sessions outlive a master key. `name` is a
    `secrets.rules.Purpose`.
    """

    __tablename__ = "hash_secrets"
    name: Mapped[str] = mapped_column(String(50), unique=True)
    envelope: Mapped[bytes] = mapped_column(LargeBinary)


class Package(Base):
    """A package of configuration that was imported; what it made are rows like all others."""

    __tablename__ = "packages"
    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    title: Mapped[str] = mapped_column(String(200), default="")
    version: Mapped[str] = mapped_column(String(50))
    installed_at: Mapped[datetime] = mapped_column(Instant, default=_now)


class IdempotentCreate(Base):
    """What a request with an Idempotency-Key made; forgotten after a day. `id` and `request` are keyed hashes."""

    __tablename__ = "idempotent_creates"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    request: Mapped[str] = mapped_column(String(64))
    resource: Mapped[str] = mapped_column(String(50))
    resource_id: Mapped[str] = mapped_column(String(36))
    created_at: Mapped[datetime] = mapped_column(Instant, default=_now, index=True)


class User(Table):
    """A person; the password is hashed by argon2id. `roles` are of `access.rules.Role`."""

    __tablename__ = "users"
    name: Mapped[str] = mapped_column(String(200), unique=True)
    title: Mapped[str] = mapped_column(String(200), default="", server_default="")
    roles: Mapped[list[str]] = mapped_column(JSON, default=list)
    language: Mapped[str] = mapped_column(String(10), default="", server_default="")
    password_hash: Mapped[str] = mapped_column(String(200))


class Session(Base):
    """A browser in which a person is logged in; `id` is the keyed hash of what its cookie holds. Deleted at its end."""

    __tablename__ = "sessions"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(Instant, default=_now)
    seen_at: Mapped[datetime] = mapped_column(Instant, default=_now)
    expires_at: Mapped[datetime] = mapped_column(Instant, index=True)
    address: Mapped[str] = mapped_column(String(64), default="")
    agent: Mapped[str] = mapped_column(String(500), default="")


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
