"""Listing providers with their origin, and forgetting one."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from llm_manager.core.errors import Conflict, NotFound
from llm_manager.core.facts import Facts
from llm_manager.gateway.access.rules import Subject
from llm_manager.gateway.catalogue.environment import Origin, Wanted, origin, variables_kept, variables_now
from llm_manager.gateway.catalogue.service import Catalogue
from llm_manager.gateway.catalogue.store import kept_in
from llm_manager.gateway.providers.store import ProviderStore
from llm_manager.gateway.tables import ENVIRONMENT, Provider

_WHY_NOT = {
    Origin.BUILT_IN: "It is built in and needs no account.",
    Origin.DETECTED: (
        "It was found on this machine; LLM_MANAGER_GATEWAY_DETECT_LOCAL_PROVIDERS=false stops looking for such ones."
    ),
    Origin.ADMIN: "A person made it; it is not the environment's to forget.",
}


@dataclass(frozen=True, slots=True)
class ProviderInfo:
    """A provider without its credential; see `schemas.ProviderView`."""

    name: str
    kind: str
    base_url: str
    origin: Origin
    variables: tuple[str, ...]
    kept_variables: tuple[str, ...]
    models: int


class Asked(Protocol):
    """Tells what the environment asks for, now or before."""

    def __call__(self, *, without: str = "") -> Awaitable[Wanted]: ...


class ProviderService:
    """Providers of this gateway. A change holds here at once and at other gateways within a second."""

    def __init__(
        self,
        store: ProviderStore,
        catalogue: Catalogue,
        *,
        asked: Asked,
        facts: Mapping[str, Facts],
        environ: Mapping[str, str],
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._asked = asked
        self._facts = facts
        self._environ = environ

    async def list(self) -> list[ProviderInfo]:
        """Return every provider that can be used, by name."""
        return [self._info(row, models) for row, models in await self._store.list()]

    async def remove(self, subject: Subject, name: str) -> None:
        """Forget a provider that is only kept from an earlier start, its credential included.

        Raises:
            NotFound: there is no such provider.
            Conflict: it would be there again at the next start.
        """
        row = await self._store.find(name)
        if row is None:
            raise NotFound(f"There is no provider {name[:100]!r}; GET /api/v1/providers lists them.")
        info = self._info(row, 0)
        if info.origin is not Origin.KEPT:
            raise Conflict(f"The provider {name!r} cannot be removed. {self._why_not(info)}")
        await self._store.forget(subject, name, await self._asked(without=row.kind))
        await self._catalogue.refresh()

    def _why_not(self, info: ProviderInfo) -> str:
        if info.origin is not Origin.ENVIRONMENT:
            return _WHY_NOT[info.origin]
        names = " and ".join(info.variables)
        return f"{names} still gives it: stop ('llm-manager down'), unset it, start again, then remove the provider."

    def _info(self, row: Provider, models: int) -> ProviderInfo:
        fact, kept = self._facts.get(row.kind), kept_in(row)
        return ProviderInfo(
            name=row.name,
            kind=row.kind,
            base_url=_without_secrets(row.base_url or (fact.base_url if fact else "")),
            origin=origin(fact, self._environ, kept, is_managed=row.managed_by == ENVIRONMENT),
            variables=variables_now(fact, self._environ) if fact else (),
            kept_variables=variables_kept(fact, self._environ, kept) if fact else (),
            models=models,
        )


def _without_secrets(url: str) -> str:
    """Leave out a user's name, password and query, where people put keys."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
