"""What the services of all resources that requests are served by do alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from llm_manager.gateway.access.rules import Subject
from llm_manager.gateway.catalogue.records import AnyRecord
from llm_manager.gateway.catalogue.service import Catalogue
from llm_manager.gateway.resources.rules import Page, RepeatedError, values_of
from llm_manager.gateway.resources.store import ResourceStore
from llm_manager.gateway.tables import ADMIN, Table

T = TypeVar("T", bound=Table)


class ResourceService(Generic[T]):
    """Lists, makes and changes rows. A change holds here at once and at other gateways within a second.

    Args:
        to_record: a row as it travels to the gateways.
    """

    def __init__(
        self,
        store: ResourceStore[T],
        catalogue: Catalogue,
        to_record: Callable[[T], AnyRecord],
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._is = store.declaration
        self._to_record = to_record

    @property
    def name(self) -> str:
        """Of the resource, as in the address of the admin API."""
        return self._is.name

    async def page(self, page: Page) -> tuple[list[T], str]:
        """Return rows, and the cursor of the next page. Raises InvalidRequest: see `ResourceStore.page`."""
        return await self._store.page(page)

    async def find(self, handle: str) -> T:
        """Return a row by its id or its name. Raises NotFound."""
        return await self._store.find(handle)

    # Any: fields that were sent, checked by their model
    async def create(self, subject: Subject, said: Mapping[str, Any]) -> T:
        """Make a row; a request that is sent again with its Idempotency-Key gets what it made.

        Raises:
            Conflict: there is one of this name.
            InvalidRequest, NotFound: it names something that is not there.
        """
        try:
            async with self._store.creating(subject, self._is.table) as (session, row):
                changed = await self.fill(session, row, values_of(said, self._is.cleared))
        except RepeatedError as repeated:
            return await self._store.find(repeated.resource_id)
        await self._publish(row, changed)
        return row

    # Any: fields that were sent, checked by their model
    async def put(self, session: AsyncSession, subject: Subject, handle: str, said: Mapping[str, Any]) -> None:
        """Make a row, or change the one of an id, as a part of a transaction; whoever ends that refreshes all.

        Args:
            handle: empty for a new row.

        Raises: see `create` and `change`.
        """
        values = values_of(said, self._is.cleared)
        if not handle:
            async with self._store.creating(subject, self._is.table, within=session) as (_, row):
                await self.fill(session, row, values)
            return
        async with self._store.changing(subject, handle, within=session) as (_, row):
            await self._change(session, row, values)

    # Any: fields that were sent, checked by their model
    async def change(self, subject: Subject, handle: str, said: Mapping[str, Any], *, revision: int | None) -> T:
        """Change the fields that are said; None takes one away.

        Raises:
            NotFound, PreconditionFailed.
            Conflict: there is another one of this name.
            InvalidRequest: a field cannot be taken away, or names something that is not there.
        """
        values = values_of(said, self._is.cleared)
        async with self._store.changing(subject, handle, revision=revision) as (session, row):
            name = getattr(row, self._is.key)
            changed = await self._change(session, row, values)
        if getattr(row, self._is.key) == name:
            await self._publish(row, changed)
        else:
            # others repeat the name, and what had it is gone
            await self._catalogue.refresh()
        return row

    async def _change(self, session: AsyncSession, row: T, values: Mapping[str, Any]) -> list[T]:
        changed = await self.fill(session, row, values)
        if self.is_taken_over(values):
            # a person decided, so the environment leaves it as it is at the next start
            row.managed_by = ADMIN
        return changed

    async def delete(self, subject: Subject, handle: str, *, revision: int | None) -> None:
        """Delete a row for good.

        Raises: see `ResourceStore.delete`.
        """
        row = await self._store.delete(subject, handle, revision=revision)
        # the word that it is gone counts more than late news of it; the next sync takes it off the bus
        gone = msgspec.structs.replace(self._to_record(row), is_enabled=False, revision=row.revision + 1)
        await self._catalogue.publish([gone])

    async def fill(self, session: AsyncSession, row: T, values: Mapping[str, Any]) -> list[T]:
        """Give a row its values; return the other rows that became others by it (see `ResourceStore.note`)."""
        del session
        for field, value in values.items():
            setattr(row, field, value)
        return []

    def is_taken_over(self, values: Mapping[str, Any]) -> bool:
        """Return whether a change takes the row away from the environment."""
        return bool(values)

    async def _publish(self, row: T, changed: list[T]) -> None:
        await self._catalogue.publish([self._to_record(one) for one in (*changed, row)])
