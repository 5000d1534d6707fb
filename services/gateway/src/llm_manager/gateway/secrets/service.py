"""Puts everything that is sealed under the active master key, while the platform serves."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from llm_manager.gateway.access.rules import Subject
from llm_manager.gateway.audit.store import AuditStore
from llm_manager.gateway.http.built import Built
from llm_manager.gateway.secrets.sealed import SealedTable
from llm_manager.gateway.secrets.store import Position, SecretStore
from llm_manager.kit.secrets import SecretBox
from llm_manager.kit.sql import Database

log = structlog.stdlib.get_logger("gateway")

# What one request may take; whoever asks goes on asking until nothing is left.
_LONGEST_SECONDS = 10.0
_MOST_NAMED = 20
RESOURCE = "secrets"


class Publishes(Protocol):
    """Tells everybody what was just committed: the catalogue."""

    async def refresh(self) -> None:
        """See `Catalogue.refresh`."""
        ...


@dataclass(frozen=True, slots=True)
class MasterKeyUse:
    """A master key by its id, and how many envelopes are under it. One that is not known here opens nothing."""

    id: str
    is_active: bool
    is_known: bool
    envelopes: int


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a call of `rotate` did.

    Args:
        is_done: everything was looked at; otherwise ask again.
        unreadable: where envelopes are that no master key opens, at most 20 of them.
    """

    resealed: int
    is_done: bool
    unreadable: tuple[str, ...]


class SecretRotation:
    """Every method raises StoreUnavailable when the database does not answer."""

    def __init__(
        self,
        database: Database,
        box: SecretBox,
        catalogue: Publishes,
        *,
        tables: tuple[SealedTable[Any], ...],
        trail: AuditStore,
        longest_seconds: float = _LONGEST_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._box = box
        self._catalogue = catalogue
        self._store = SecretStore(database, box, tables)
        self._trail = trail
        self._longest_seconds = longest_seconds
        self._clock = clock

    async def uses(self) -> list[MasterKeyUse]:
        """Return which master keys there are, the active one first."""
        self._box.refresh()
        active, known = self._box.active_key_id, self._box.key_ids
        counts = await self._store.counts()
        ids = [active, *sorted((known | counts.keys()) - {active})]
        return [MasterKeyUse(one, one == active, one in known, counts[one]) for one in ids]

    async def rotate(self, subject: Subject) -> Rotated:
        """Seal anew what is under an older key, as far as ten seconds go. To do it twice or at once does no harm."""
        until = self._clock() + self._longest_seconds
        if all(use.is_active or not use.envelopes for use in await self.uses()):
            return Rotated(0, is_done=True, unreadable=())
        async with self._database.session() as session:
            after = {"active_key_id": self._box.active_key_id}
            await self._trail.add(session, subject, "changed", resource=RESOURCE, resource_id="", after=after)
        resealed, unreadable = 0, list[str]()
        try:
            for table in self._store.tables:
                last: Position | None = None
                while (batch := await self._store.reseal(table, after=last)).last is not None:
                    resealed, last = resealed + batch.resealed, batch.last
                    unreadable += batch.unreadable
                    if self._clock() >= until:
                        return Rotated(resealed, is_done=False, unreadable=tuple(unreadable[:_MOST_NAMED]))
        finally:
            log.info("secrets_resealed", count=resealed, unreadable=len(unreadable))
            if resealed:
                await self._catalogue.refresh()
        return Rotated(resealed, is_done=True, unreadable=tuple(unreadable[:_MOST_NAMED]))


SECRETS: Built[SecretRotation] = Built("secrets")
