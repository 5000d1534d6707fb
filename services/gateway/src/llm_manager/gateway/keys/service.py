"""Making, listing and revoking API keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from llm_manager.core.errors import NotFound
from llm_manager.core.ids import ApiKey, hash_api_key, new_api_key
from llm_manager.gateway.access.rules import Subject
from llm_manager.gateway.catalogue.service import Catalogue
from llm_manager.gateway.keys.store import KeyStore


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """A key without its secret; `revoked_at` is None while it lives."""

    id: str
    name: str
    app: str
    created_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made; the only moment at which its token is known."""

    info: KeyInfo
    token: str


class KeyService:
    """Keys of all apps. A change holds here at once and at other gateways within a second."""

    def __init__(
        self, store: KeyStore, catalogue: Catalogue, *, pepper: bytes, make: Callable[[], ApiKey] = new_api_key
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._pepper = pepper
        self._make = make

    async def list(self) -> list[KeyInfo]:
        """Return every key, newest first, revoked ones included."""
        return [
            KeyInfo(row.id, row.name, row.app.name, row.created_at, row.revoked_at) for row in await self._store.list()
        ]

    async def create(self, subject: Subject, *, name: str, app: str) -> NewKey:
        """Make a key.

        Raises:
            NotFound: there is no such app.
            Conflict: a live key of the app has this name.
        """
        key = self._make()
        row, record = await self._store.insert(
            subject, key.id, name=name, app_name=app, key_hash=hash_api_key(key.token, pepper=self._pepper)
        )
        await self._catalogue.publish([record])
        return NewKey(KeyInfo(row.id, row.name, app, row.created_at, None), key.token)

    async def revoke(self, subject: Subject, key_id: str) -> None:
        """Revoke a key; revoking it again changes nothing.

        Raises:
            NotFound: there is no such key.
        """
        record = await self._store.revoke(subject, key_id)
        if record is None:
            raise NotFound(f"There is no key {key_id[:40]!r}; GET /api/v1/keys lists them.")
        await self._catalogue.publish([record])
