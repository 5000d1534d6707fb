"""Making, listing and changing apps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_manager.core.errors import InvalidRequest
from llm_manager.gateway.access.rules import Subject
from llm_manager.gateway.audit.rules import Json
from llm_manager.gateway.catalogue.service import Catalogue
from llm_manager.gateway.catalogue.store import app_record
from llm_manager.gateway.resources.rules import Page
from llm_manager.gateway.resources.store import Declaration, ResourceStore
from llm_manager.gateway.tables import ADMIN, App


def _told(row: App) -> Json:
    return {"name": row.name, "description": row.description, "is_enabled": row.is_enabled}


APPS = Declaration(
    name="apps",
    singular="app",
    table=App,
    told=_told,
    key="name",
    sorts={"name": "name", "created": "created_at"},
)


class AppService:
    """Apps. A change holds here at once and at other gateways within a second."""

    def __init__(self, store: ResourceStore[App], catalogue: Catalogue) -> None:
        self._store = store
        self._catalogue = catalogue

    async def page(self, page: Page) -> tuple[list[App], str]:
        """Return apps, and the cursor of the next page."""
        return await self._store.page(page)

    async def find(self, handle: str) -> App:
        """Return an app by its id or its name. Raises NotFound."""
        return await self._store.find(handle)

    async def create(self, subject: Subject, *, name: str, description: str, is_enabled: bool) -> App:
        """Make an app.

        Raises:
            Conflict: there is one of this name.
        """

        def made() -> App:
            return App(name=name, description=description, is_enabled=is_enabled)

        async with self._store.creating(subject, made) as (_, row):
            pass
        await self._catalogue.publish([app_record(row)])
        return row

    # Any: the fields that were sent, checked by their model
    async def change(self, subject: Subject, handle: str, said: Mapping[str, Any], *, revision: int | None) -> App:
        """Change the fields that are said; None takes a description away.

        Raises:
            NotFound, PreconditionFailed.
            Conflict: there is another one of this name.
            InvalidRequest: a field cannot be taken away.
        """
        for field in ("name", "is_enabled"):
            if field in said and said[field] is None:
                raise InvalidRequest(f"{field} cannot be taken away; leave it out to keep it.", param=field)
        async with self._store.changing(subject, handle, revision=revision) as (_, row):
            for field, value in said.items():
                setattr(row, field, "" if value is None else value)
            if said:
                # a person decided, so the environment leaves it as it is at the next start
                row.managed_by = ADMIN
        await self._catalogue.publish([app_record(row)])
        return row
