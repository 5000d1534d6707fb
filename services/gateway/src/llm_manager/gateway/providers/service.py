"""Making, changing, archiving and forgetting providers."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from llm_manager.core.errors import Conflict, InvalidRequest, NotFound
from llm_manager.core.facts import Facts
from llm_manager.gateway.access.rules import Subject
from llm_manager.gateway.audit.rules import Json
from llm_manager.gateway.catalogue.environment import Origin, Wanted, origin, variables_kept, variables_now
from llm_manager.gateway.catalogue.records import SealedKey
from llm_manager.gateway.catalogue.service import Catalogue
from llm_manager.gateway.catalogue.store import (
    FIRST_KEY,
    kept_in,
    provider_record,
    sealed,
    sealed_keys,
    set_sealed_keys,
)
from llm_manager.gateway.providers.rules import (
    checked_base_url,
    checked_paths,
    facts_of,
    free_name,
    merged_headers,
    origin_of_url,
    shown_headers,
    without_secrets,
)
from llm_manager.gateway.providers.schemas import ProviderKeyView, ProviderView
from llm_manager.gateway.providers.store import ProviderStore
from llm_manager.gateway.resources.filters import Filter, equal
from llm_manager.gateway.resources.service import ResourceService
from llm_manager.gateway.resources.store import Declaration, ResourceStore
from llm_manager.gateway.tables import ENVIRONMENT, Provider
from llm_manager.kit.bus.names import HEADERS_AAD
from llm_manager.kit.secrets import Secret, SecretBox

_WHY_NOT = {
    Origin.BUILT_IN: "It is built in and needs no account; switch it off instead.",
    Origin.DETECTED: (
        "It was found on this machine; LLM_MANAGER_GATEWAY_DETECT_LOCAL_PROVIDERS=false stops looking for such ones."
    ),
}
# What the environment gives: whoever changes one of these takes the row away from it.
_GIVEN = frozenset({"name", "kind", "base_url", "api_key", "is_enabled"})
_MOST_KEYS = 50


def _told(row: Provider) -> Json:
    return {
        **{name: getattr(row, name) for name in ("name", "kind", "description", "paths", "timeouts", "is_enabled")},
        "base_url": without_secrets(row.base_url),
        "api_keys": [f"{key.name} {key.fingerprint} {'on' if key.is_enabled else 'off'}" for key in sealed_keys(row)],
        # values may be secret, so that only a change of them is told
        "headers": None if row.headers is None else f"sealed, {row.headers[-4:].hex()}",
        "is_archived": row.archived_at is not None,
    }


PROVIDERS = Declaration(
    name="providers",
    singular="provider",
    table=Provider,
    told=_told,
    key="name",
    sorts={"name": "name", "created": "created_at"},
    filters={
        "kind": Filter("Only those of this kind.", equal(Provider.kind)),
    },
    cleared={"description": "", "base_url": "", "api_key": None, "headers": None, "paths": {}, "timeouts": {}},
)


class Asked(Protocol):
    """Tells what the environment asks for, now or before."""

    def __call__(self, *, without: str = "") -> Awaitable[Wanted]: ...


class ProviderService(ResourceService[Provider]):
    """Providers of every kind that the facts know."""

    def __init__(
        self,
        store: ResourceStore[Provider],
        catalogue: Catalogue,
        environment: ProviderStore,
        *,
        box: SecretBox,
        asked: Asked,
        facts: Mapping[str, Facts],
        environ: Mapping[str, str],
    ) -> None:
        super().__init__(store, catalogue, provider_record)
        self._environment = environment
        self._box = box
        self._asked = asked
        self._facts = facts
        self._environ = environ

    async def fill(self, session: AsyncSession, row: Provider, values: Mapping[str, Any]) -> list[Provider]:
        """Give a row its values; secrets are sealed, and what was sealed for one host never goes to another."""
        said = dict(values)
        facts = facts_of(said.get("kind", row.kind), self._facts)
        has_key, key = "api_key" in said, said.pop("api_key", None)
        if said.get("base_url"):
            said["base_url"] = checked_base_url(said["base_url"])
        self._check_host(row, facts, said.get("base_url", row.base_url) or facts.base_url, has_key=has_key)
        if has_key:
            set_sealed_keys(row, [] if key is None else [self._sealed(FIRST_KEY, key)])
        if "headers" in said:
            said["headers"] = self._sealed_headers(row, said["headers"])
        if "paths" in said:
            said["paths"] = checked_paths(said["paths"])
        return await super().fill(session, row, said)

    def is_taken_over(self, values: Mapping[str, Any]) -> bool:
        """Return whether a change is of something that the environment gives."""
        return not _GIVEN.isdisjoint(values)

    def _check_host(self, row: Provider, facts: Facts, after: str, *, has_key: bool) -> None:
        """Keys and headers were given for one host; another one would get them for nothing.

        Raises:
            InvalidRequest: there is no address, or one of another host and no key for it.
        """
        if not after and facts.transport == "http":
            raise InvalidRequest(f"base_url: {facts.title} has no address of its own; give one.", param="base_url")
        known = self._facts.get(row.kind)
        before = row.base_url or (known.base_url if known else "")
        if not before or origin_of_url(before) == origin_of_url(after):
            return
        if row.credentials and not has_key:
            raise InvalidRequest(
                "base_url: the stored keys were given for another host; send api_key too, or null to forget them.",
                param="base_url",
            )
        row.headers = None

    def _sealed(self, name: str, key: Secret) -> SealedKey:
        text = key.reveal().strip()
        if not text or not text.isascii() or not text.isprintable():
            raise InvalidRequest("api_key: it is empty, or holds what no header can carry.", param="api_key")
        return sealed(self._box, name, text)

    def _headers(self, row: Provider) -> dict[str, str]:
        if row.headers is None:
            return {}
        return msgspec.json.decode(self._box.open(row.headers, aad=HEADERS_AAD), type=dict[str, str])

    def _sealed_headers(self, row: Provider, said: Mapping[str, str | None] | None) -> bytes | None:
        if said is None:
            return None
        merged = merged_headers(self._headers(row), said)
        return self._box.seal(msgspec.json.encode(merged), aad=HEADERS_AAD) if merged else None

    async def add_key(self, subject: Subject, handle: str, *, name: str, key: Secret) -> Provider:
        """Give a provider a further key.

        Raises:
            NotFound.
            InvalidRequest: the name is taken, or there are as many as there may be.
        """
        async with self._store.changing(subject, handle) as (_, row):
            keys = sealed_keys(row)
            free_name((one.name for one in keys), name)
            if len(keys) >= _MOST_KEYS:
                raise InvalidRequest(f"A provider has at most {_MOST_KEYS} keys; take one away first.")
            set_sealed_keys(row, [*keys, self._sealed(name, key)])
        await self._publish(row, [])
        return row

    async def change_key(self, subject: Subject, handle: str, name: str, *, is_enabled: bool | None) -> Provider:
        """Switch a key on or off; None takes it away.

        Raises:
            NotFound: there is no such provider, or no such key.
        """
        async with self._store.changing(subject, handle) as (_, row):
            keys = sealed_keys(row)
            if name not in {key.name for key in keys}:
                raise NotFound(f"The provider {row.name!r} has no key named {name[:100]!r}.")
            kept = [key for key in keys if key.name != name or is_enabled is not None]
            changed = [key if key.name != name else _switched(key, is_enabled) for key in kept]
            set_sealed_keys(row, changed)
        await self._publish(row, [])
        return row

    async def archive(self, subject: Subject, handle: str, *, is_archived: bool) -> Provider:
        """Put a provider away, or bring it back: its configurations serve nobody meanwhile, and none is changed."""
        async with self._store.changing(subject, handle) as (_, row):
            if is_archived is (row.archived_at is None):
                row.archived_at = datetime.now(UTC) if is_archived else None
        await self._publish(row, [])
        return row

    async def delete(self, subject: Subject, handle: str, *, revision: int | None) -> None:
        """Delete a provider that a person made, or forget one that is only kept from an earlier start.

        Raises:
            NotFound: there is no such provider.
            Conflict: it would be there again at the next start, or configurations lead to it.
        """
        row = await self._store.find(handle)
        if row.managed_by != ENVIRONMENT:
            await super().delete(subject, handle, revision=revision)
            return
        if not row.is_enabled:
            raise NotFound(f"There is no provider {handle[:100]!r}; GET /api/v1/providers lists them.")
        if (found := self._origin(row)) is not Origin.KEPT:
            raise Conflict(f"The provider {row.name!r} cannot be removed. {self._why_not(row, found)}")
        await self._environment.forget(subject, row.name, await self._asked(without=row.kind))
        await self._catalogue.refresh()

    def _origin(self, row: Provider) -> Origin:
        fact = self._facts.get(row.kind)
        return origin(fact, self._environ, kept_in(row), is_managed=row.managed_by == ENVIRONMENT)

    def _why_not(self, row: Provider, found: Origin) -> str:
        if found is not Origin.ENVIRONMENT:
            return _WHY_NOT[found]
        fact = self._facts.get(row.kind)
        names = " and ".join(variables_now(fact, self._environ) if fact else ())
        return f"{names} still gives it: stop ('llm-manager down'), unset it, start again, then remove the provider."

    async def views(self, rows: Sequence[Provider]) -> list[ProviderView]:
        """Show providers without their secrets."""
        counts = await self._environment.models([row.id for row in rows])
        return [self._view(row, counts.get(row.id, 0)) for row in rows]

    def _view(self, row: Provider, models: int) -> ProviderView:
        fact, kept = self._facts.get(row.kind), kept_in(row)
        return ProviderView(
            **{name: getattr(row, name) for name in ("id", "name", "is_enabled", "managed_by", "revision")},
            created_at=row.created_at,
            updated_at=row.updated_at,
            kind=row.kind,
            description=row.description,
            base_url=without_secrets(row.base_url or (fact.base_url if fact else "")),
            api_keys=[ProviderKeyView.model_validate(key, from_attributes=True) for key in sealed_keys(row)],
            headers=shown_headers(self._headers(row)),
            paths=row.paths,
            timeouts=row.timeouts,
            archived_at=row.archived_at,
            origin=self._origin(row),
            variables=list(variables_now(fact, self._environ) if fact else ()),
            kept_variables=list(variables_kept(fact, self._environ, kept) if fact else ()),
            models=models,
        )


def _switched(key: SealedKey, is_enabled: bool | None) -> SealedKey:
    return msgspec.structs.replace(key, is_enabled=bool(is_enabled))
