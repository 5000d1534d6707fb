"""Making, listing and revoking API keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, select

from llm_manager.core.errors import NotFound
from llm_manager.core.ids import ApiKey, hash_api_key, new_api_key
from llm_manager.gateway.access.rules import Subject
from llm_manager.gateway.audit.rules import Json
from llm_manager.gateway.catalogue.service import Catalogue
from llm_manager.gateway.catalogue.store import key_record
from llm_manager.gateway.resources.rules import Page
from llm_manager.gateway.resources.store import Declaration, ResourceStore
from llm_manager.gateway.tables import ADMIN, App, Key


def _told(row: Key) -> Json:
    return {"name": row.name, "app": row.app.name, "is_revoked": row.revoked_at is not None}


KEYS = Declaration(
    name="keys",
    singular="key",
    table=Key,
    told=_told,
    key="name",
    sorts={"name": "name", "created": "created_at"},
    # a name may be taken again once its key is revoked
    is_found_by_key=False,
)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made; the only moment at which its token is known."""

    row: Key
    token: str


class KeyService:
    """Keys of all apps. A change holds here at once and at other gateways within a second."""

    def __init__(
        self,
        store: ResourceStore[Key],
        catalogue: Catalogue,
        *,
        pepper: bytes,
        make: Callable[[], ApiKey] = new_api_key,
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._pepper = pepper
        self._make = make

    async def page(self, page: Page, *, app: str = "") -> tuple[list[Key], str]:
        """Return keys, revoked ones included, and the cursor of the next page.

        Args:
            app: id or name of the app whose keys are wanted; empty for those of all.
        """
        conditions: list[ColumnElement[bool]] = []
        if app:
            conditions.append(Key.app_id.in_(select(App.id).where((App.id == app) | (App.name == app))))
        return await self._store.page(page, *conditions)

    async def create(self, subject: Subject, *, name: str, app: str) -> NewKey:
        """Make a key.

        Raises:
            NotFound: there is no such app.
            Conflict: a live key of the app has this name.
        """
        key = self._make()
        hashed = hash_api_key(key.token, pepper=self._pepper)
        async with self._store.creating(subject, lambda: Key(id=key.id, name=name, hash=hashed)) as (session, row):
            found = await session.scalar(select(App).where(App.name == app))
            if found is None:
                raise NotFound(f"There is no app {app[:100]!r}; GET /api/v1/apps lists them.", param="app")
            row.app = found
        await self._catalogue.publish([key_record(row)])
        return NewKey(row, key.token)

    async def revoke(self, subject: Subject, key_id: str) -> None:
        """Revoke a key; revoking it again changes nothing.

        Raises:
            NotFound: there is no such key.
        """
        async with self._store.changing(subject, key_id, is_end=True) as (_, row):
            if row.revoked_at is None:
                # a person decided, so the environment does not bring it back at the next start
                row.revoked_at, row.is_enabled, row.managed_by = datetime.now(UTC), False, ADMIN
        await self._catalogue.publish([key_record(row)])
