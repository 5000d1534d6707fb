"""Reads and writes the catalogue's tables."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

import msgspec
import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import SQLORMExpression

from llm_manager.core.families import Capability
from llm_manager.core.ids import ApiKey
from llm_manager.gateway.catalogue.environment import DEFAULT_APP, Kept, Wanted, WantedProvider
from llm_manager.gateway.catalogue.records import (
    AliasRecord,
    AnyRecord,
    AppRecord,
    ConfigurationRecord,
    HashSecretRecord,
    KeyRecord,
    OverrideRecord,
    ProviderProfile,
    ProviderRecord,
    SealedKey,
    kv_key_of,
)
from llm_manager.gateway.parameters.rules import Strategy
from llm_manager.gateway.tables import (
    ADMIN,
    ENVIRONMENT,
    Alias,
    App,
    Configuration,
    HashSecret,
    Key,
    Override,
    Provider,
    Table,
)
from llm_manager.kit.bus.names import CREDENTIAL_AAD, HEADERS_AAD
from llm_manager.kit.secrets import SecretBox, SecretBoxError
from llm_manager.kit.sql import Database

log = structlog.stdlib.get_logger("gateway")

T = TypeVar("T", bound=Table)
# The name of a provider's key where nobody names it.
FIRST_KEY = "default"
_AUTHORIZATION = "authorization"
_SHOWN_END, _LONG_ENOUGH = 4, 20
# What the event loop turns into objects at once: some milliseconds of each.
_STAMPS_AT_ONCE, _ROWS_AT_ONCE = 500, 100


@dataclass(frozen=True, slots=True)
class RecordKind(Generic[T]):
    """How the rows of one table travel. A further kind is a record in rules.py and one of these.

    Args:
        handle: column of the record's handle.
        parent: the relationship to another row (Any: its table is not ours) and what the record repeats of that: a
            change there changes the record too.
    """

    record: type[AnyRecord]
    table: type[T]
    to_record: Callable[[T], AnyRecord]
    handle: SQLORMExpression[str]
    parent: tuple[Any, SQLORMExpression[str]] | None = None


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells that a row has changed, without reading it whole."""

    row_id: str
    version: int


async def stamps(database: Database, kind: RecordKind[Any]) -> AsyncGenerator[dict[str, Stamp]]:
    """Read the stamps of all rows of a table by their keys of the bucket, page by page.

    Each page is a transaction of its own: a row that comes meanwhile may be missing, none is left out that was there.

    Raises:
        StoreUnavailable: the database does not answer.
    """
    table, record = kind.table, kind.record
    # Any: it has a column more where there is a parent, which its type cannot say
    query: Any = select(table.id, kind.handle, table.revision, table.updated_at)
    query = query.order_by(table.id).limit(_STAMPS_AT_ONCE)
    if kind.parent is not None:
        relationship, repeated = kind.parent
        query = query.add_columns(repeated).join(relationship)
    after = ""
    while True:
        async with database.session(read_only=True) as session:
            rows = [tuple[Any, ...](row) for row in await session.execute(query.where(table.id > after))]
        if not rows:
            return
        yield {kv_key_of(record, row[1]): Stamp(row[0], hash(row)) for row in rows}
        after = rows[-1][0]


async def load(
    database: Database, kind: RecordKind[Any], ids: Sequence[str]
) -> AsyncGenerator[dict[str, AnyRecord | None]]:
    """Read rows whole, by id and page by page; None stands for one of a form that is newer than this process.

    Raises:
        StoreUnavailable: the database does not answer.
    """
    for start in range(0, len(ids), _ROWS_AT_ONCE):
        query = select(kind.table).where(kind.table.id.in_(ids[start : start + _ROWS_AT_ONCE]))
        async with database.session(read_only=True) as session:
            rows = (await session.scalars(query)).all()
        records: dict[str, AnyRecord | None] = {}
        for row in rows:
            try:
                records[row.id] = kind.to_record(row)
            except msgspec.ValidationError as error:
                records[row.id] = None
                log.warning("catalogue_row_refused", table=kind.table.__tablename__, id=row.id, reason=str(error))
        yield records


def app_record(row: App) -> AppRecord:
    """Return an app as it travels."""
    allowed = None if row.allowed_models is None else tuple(row.allowed_models)
    return AppRecord(id=row.id, revision=row.revision, is_enabled=row.is_enabled, name=row.name, allowed_models=allowed)


def key_record(row: Key) -> KeyRecord:
    """Return a key as it travels."""
    is_enabled = row.is_enabled and row.revoked_at is None
    return KeyRecord(
        id=row.id,
        revision=row.revision,
        is_enabled=is_enabled,
        app_id=row.app_id,
        name=row.name,
        hash=row.hash,
        scopes=tuple(row.scopes),
        expires_at=row.expires_at,
        allowed_addresses=None if row.allowed_addresses is None else tuple(row.allowed_addresses),
        allowed_models=None if row.allowed_models is None else tuple(row.allowed_models),
    )


def sealed_keys(row: Provider) -> tuple[SealedKey, ...]:
    """Return the credentials of a provider, those that are switched off included."""
    # a row that was never written has none yet
    return msgspec.convert(row.credentials or (), tuple[SealedKey, ...])


def set_sealed_keys(row: Provider, keys: Iterable[SealedKey]) -> None:
    """Give a provider its credentials."""
    row.credentials = [msgspec.to_builtins(key) for key in keys]


def provider_record(row: Provider) -> ProviderRecord:
    """Return a provider as it travels."""
    return ProviderRecord(
        id=row.id,
        revision=row.revision,
        is_enabled=row.is_enabled and row.archived_at is None,
        name=row.name,
        kind=row.kind,
        base_url=row.base_url,
        credentials=tuple(key.envelope for key in sealed_keys(row) if key.is_enabled),
        headers=row.headers or b"",
        paths=row.paths,
        timeouts={name: int(seconds * 1000) for name, seconds in row.timeouts.items()},
        is_trusted=row.managed_by == ENVIRONMENT,
        profile=None if row.profile is None else msgspec.convert(row.profile, ProviderProfile),
    )


def configuration_record(row: Configuration) -> ConfigurationRecord:
    """Return a configuration as it travels. What a person switched off is known on, so that requests are told so; what
    the environment gives no more is gone.
    """
    return ConfigurationRecord(
        id=row.id,
        revision=row.revision,
        is_enabled=row.is_enabled or row.managed_by == ADMIN,
        is_active=row.is_enabled,
        is_default=row.is_default,
        app_id=row.app_id or "",
        name=row.name,
        provider=row.provider.name,
        upstream_model=row.upstream_model,
        created=int(row.created_at.timestamp()),
        tags=row.tags,
        adapts_parameters=row.adapts_parameters,
        default_parameters=row.default_parameters,
        capabilities=None if row.capabilities is None else msgspec.convert(row.capabilities, tuple[Capability, ...]),
        context_window=row.context_window,
        max_output_tokens=row.max_output_tokens,
    )


def alias_record(row: Alias) -> AliasRecord:
    """Return an alias as it travels."""
    return AliasRecord(
        id=row.id,
        revision=row.revision,
        is_enabled=row.is_enabled,
        name=row.name,
        configuration=row.configuration.name,
        created=int(row.created_at.timestamp()),
    )


def override_record(row: Override) -> OverrideRecord:
    """Return an override as it travels."""
    return OverrideRecord(
        id=row.id,
        revision=row.revision,
        is_enabled=row.is_enabled,
        app_id=row.app_id,
        configuration_id=row.configuration_id or "",
        context=row.context,
        parameters=row.parameters,
        strategy=Strategy(row.strategy),
        priority=row.priority,
    )


def hash_secret_record(row: HashSecret) -> HashSecretRecord:
    """Return what hashes are keyed by as it travels."""
    return HashSecretRecord(id=row.id, revision=row.revision, name=row.name, envelope=row.envelope)


# Parents first, so that nobody sees a record before what it names. Any: each kind has a table of its own.
RECORD_KINDS: tuple[RecordKind[Any], ...] = (
    RecordKind(HashSecretRecord, HashSecret, hash_secret_record, HashSecret.name),
    RecordKind(AppRecord, App, app_record, App.id),
    RecordKind(ProviderRecord, Provider, provider_record, Provider.name),
    RecordKind(
        ConfigurationRecord,
        Configuration,
        configuration_record,
        Configuration.name,
        parent=(Configuration.provider, Provider.name),
    ),
    RecordKind(AliasRecord, Alias, alias_record, Alias.name, parent=(Alias.configuration, Configuration.name)),
    RecordKind(OverrideRecord, Override, override_record, Override.id),
    RecordKind(KeyRecord, Key, key_record, Key.id),
)


def sealed(box: SecretBox, name: str, credential: str) -> SealedKey:
    """Seal a credential. Of a long one the last characters may be shown, so that people know which it is."""
    fingerprint = f"…{credential[-_SHOWN_END:]}" if len(credential) >= _LONG_ENOUGH else "…"
    envelope = box.seal(credential.encode(), aad=CREDENTIAL_AAD)
    return SealedKey(name=name, envelope=envelope, fingerprint=fingerprint)


def kept_in(row: Provider) -> Kept:
    """Return what the environment has given a provider."""
    return Kept(row.base_url, has_credential=bool(row.credentials))


async def kept_by_environment(session: AsyncSession) -> dict[str, Kept]:
    """Return what earlier starts gave, by kind; nothing of what a person made, took over or removed."""
    rows = await session.scalars(select(Provider).where(Provider.managed_by == ENVIRONMENT))
    return {row.kind: kept for row in rows if (kept := kept_in(row)) != Kept()}


@dataclass(frozen=True, slots=True)
class EnvironmentStore:
    """Makes the rows that the environment manages equal to what it asks for; running it again changes nothing.

    Rows that a person made or took over are left alone, and so are the configurations of such a provider: whoever takes
    one over keeps its models, whatever becomes of its variables and of the models that a release knows.
    """

    box: SecretBox

    async def apply(self, session: AsyncSession, wanted: Wanted) -> None:
        """Bring providers, configurations and aliases up to date."""
        providers = {row.name: row for row in await session.scalars(select(Provider))}
        for item in wanted.providers:
            row = providers.get(item.kind)
            if row is None:
                row = providers[item.kind] = Provider(name=item.kind, kind=item.kind, managed_by=ENVIRONMENT)
                session.add(row)
            if row.managed_by == ENVIRONMENT:
                self._update_provider(row, item)
        _disable_others(providers, {item.kind for item in wanted.providers})
        await session.flush()
        configurations = await self._apply_configurations(session, wanted, providers)
        aliases = {row.name: row for row in await session.scalars(select(Alias))}
        for name, configuration in wanted.aliases.items():
            row_id = configurations[configuration].id
            alias = aliases.get(name)
            if alias is None:
                session.add(Alias(name=name, managed_by=ENVIRONMENT, configuration_id=row_id))
            elif alias.managed_by == ENVIRONMENT:
                alias.configuration_id, alias.is_enabled = row_id, True
        _disable_others(aliases, set(wanted.aliases))

    def _update_provider(self, row: Provider, item: WantedProvider) -> None:
        row.is_enabled, row.base_url = True, item.base_url
        self._update_authorization(row, item.authorization)
        keys = sealed_keys(row)
        if not item.credential:
            if keys and not item.keeps_credential:
                row.credentials = []
        elif len(keys) != 1 or self._opened(keys[0].envelope, aad=CREDENTIAL_AAD) != item.credential.encode():
            set_sealed_keys(row, [sealed(self.box, FIRST_KEY, item.credential)])

    def _update_authorization(self, row: Provider, authorization: str) -> None:
        if not authorization:
            return
        opened = None if row.headers is None else self._opened(row.headers, aad=HEADERS_AAD)
        headers = {} if opened is None else msgspec.json.decode(opened, type=dict[str, str])
        if headers.get(_AUTHORIZATION) != authorization:
            said = msgspec.json.encode({**headers, _AUTHORIZATION: authorization})
            row.headers = self.box.seal(said, aad=HEADERS_AAD)

    def _opened(self, envelope: bytes, *, aad: bytes) -> bytes | None:
        if self.box.needs_resealing(envelope):
            return None
        try:
            return self.box.open(envelope, aad=aad)
        except SecretBoxError:
            # sealed under a master key that is gone; the variable has the credential, so it is sealed anew
            return None

    async def _apply_configurations(
        self, session: AsyncSession, wanted: Wanted, providers: Mapping[str, Provider]
    ) -> dict[str, Configuration]:
        rows = {row.name: row for row in await session.scalars(select(Configuration))}
        for item in wanted.configurations:
            row = rows.get(item.name)
            provider = providers[item.provider]
            if row is None:
                row = rows[item.name] = Configuration(name=item.name, managed_by=ENVIRONMENT)
                row.provider, row.upstream_model = provider, item.upstream_model
                session.add(row)
            elif row.managed_by == ENVIRONMENT and (row.provider is provider or row.provider.managed_by == ENVIRONMENT):
                row.is_enabled, row.provider, row.upstream_model = True, provider, item.upstream_model
        given = {name: row for name, row in rows.items() if row.provider.managed_by == ENVIRONMENT}
        _disable_others(given, {item.name for item in wanted.configurations})
        await session.flush()
        return rows


def _disable_others(rows: Mapping[str, T], wanted: set[str]) -> None:
    for name, row in rows.items():
        if row.managed_by == ENVIRONMENT and name not in wanted:
            row.is_enabled = False


async def ensure_app(session: AsyncSession) -> App:
    """Return the app `default`, made when it is missing."""
    app = await session.scalar(select(App).where(App.name == DEFAULT_APP))
    if app is None:
        app = App(name=DEFAULT_APP, managed_by=ENVIRONMENT)
        session.add(app)
        await session.flush()
    return app


async def ensure_bootstrap_key(session: AsyncSession, app: App, key: ApiKey | None, *, key_hash: str) -> None:
    """Make the environment's key exist and revoke its predecessors. A key that a person revoked stays revoked."""
    now = datetime.now(UTC)
    rows = {row.id: row for row in await session.scalars(select(Key).where(Key.managed_by == ENVIRONMENT))}
    for row in rows.values():
        if key is None or row.id != key.id:
            row.is_enabled, row.revoked_at = False, row.revoked_at or now
    if key is None:
        return
    # the name of a predecessor is free only once its row says so
    await session.flush()
    row = rows.get(key.id) or await session.get(Key, key.id)
    if row is None:
        session.add(Key(id=key.id, app_id=app.id, name="bootstrap", hash=key_hash, managed_by=ENVIRONMENT))
    elif row.managed_by == ENVIRONMENT:
        row.is_enabled, row.revoked_at, row.hash = True, None, key_hash
