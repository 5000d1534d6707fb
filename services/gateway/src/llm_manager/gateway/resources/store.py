"""Reads rows of a resource page by page, and changes them together with what the audit tells of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from sqlalchemy import Select, and_, delete, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from llm_manager.core.errors import Conflict, InvalidRequest, NotFound, PreconditionFailed
from llm_manager.gateway.access.rules import Repeatable, Subject
from llm_manager.gateway.audit.rules import Action, Json, changed_fields
from llm_manager.gateway.audit.store import AuditStore
from llm_manager.gateway.resources.filters import Filter
from llm_manager.gateway.resources.rules import Page, Place, RepeatedError, cursor_of, place_of
from llm_manager.gateway.tables import ENVIRONMENT, IdempotentCreate, Instant, Table
from llm_manager.kit.sql import Database

T = TypeVar("T", bound=Table)
# As Stripe does it (docs.stripe.com/api/idempotent_requests, 2026-11).
_REMEMBERED = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Declaration(Generic[T]):
    """One resource: its table, what it is called, and what may be asked and told of it.

    Args:
        name: as in the address of the admin API, `apps`.
        singular: for messages, `app`.
        told: a row for the audit, without secrets, its name among it.
        key: attribute that people call a row by; lists are searched in it.
        sorts: by what a list may be sorted, and the attribute that says it: a text or a time.
        cleared: what null makes of each field that a change may take away.
        filters: by what else a list may be narrowed, by the name of the parameter.
        is_found_by_key: no two rows have the same, so that one can be asked for by it as well as by its id.
    """

    name: str
    singular: str
    table: type[T]
    told: Callable[[T], Json]
    key: str
    sorts: Mapping[str, str]
    cleared: Mapping[str, Any] = field(default_factory=dict[str, Any])
    filters: Mapping[str, Filter] = field(default_factory=dict[str, Filter])
    is_found_by_key: bool = True

    # Any: which columns a table has, its type cannot say
    def column(self, attribute: str) -> Any:
        """Return a column of the table."""
        return getattr(self.table, attribute)


class ResourceStore(Generic[T]):
    """Rows of one resource. Every method raises StoreUnavailable when the database does not answer."""

    def __init__(self, database: Database, audit: AuditStore, declaration: Declaration[T]) -> None:
        self._database = database
        self._audit = audit
        self._is = declaration

    @property
    def declaration(self) -> Declaration[T]:
        """What resource this is."""
        return self._is

    async def page(self, page: Page) -> tuple[list[T], str]:
        """Return rows, and the cursor of the next page; empty on the last one.

        Raises:
            InvalidRequest: it cannot be sorted so, or the cursor is of another list.
        """
        query = self._filtered(page)
        name, is_reversed = page.sort.removeprefix("-"), page.sort.startswith("-")
        if (attribute := self._is.sorts.get(name)) is None:
            raise InvalidRequest(f"A list of {self._is.name} is sorted by {', '.join(self._is.sorts)}.", param="sort")
        column, row_id = self._is.column(attribute), self._is.column("id")
        if page.cursor:
            place = place_of(page.cursor, sort=page.sort)
            value = _value_of(place, column)
            further, behind = (column < value, row_id < place.row_id)
            if not is_reversed:
                further, behind = (column > value, row_id > place.row_id)
            query = query.where(or_(further, and_(column == value, behind)))
        order = (column.desc(), row_id.desc()) if is_reversed else (column, row_id)
        async with self._database.session(read_only=True) as session:
            rows = list(await session.scalars(query.order_by(*order).limit(page.limit + 1)))
        if len(rows) <= page.limit:
            return rows, ""
        last = rows[page.limit - 1]
        said = getattr(last, attribute)
        text = said.isoformat() if isinstance(said, datetime) else said
        return rows[: page.limit], cursor_of(Place(page.sort, text, last.id))

    async def find(self, handle: str) -> T:
        """Return a row by its id, or by its name where that tells one.

        Raises:
            NotFound.
        """
        async with self._database.session(read_only=True) as session:
            return await self._found(session, handle)

    @asynccontextmanager
    async def creating(
        self, subject: Subject, make: Callable[[], T], *, within: AsyncSession | None = None
    ) -> AsyncGenerator[tuple[AsyncSession, T]]:
        """Add a row, which the body may complete, and tell the audit.

        Args:
            within: a transaction that this is a part of; None for one of its own.

        Raises:
            RepeatedError: the same request was answered before; nothing was done.
            Conflict: there is one of this name.
            InvalidRequest: its Idempotency-Key belongs to another request.
        """
        row, name = make(), ""
        try:
            async with self._transaction(within) as session:
                await self._refuse_repeated(session, subject.repeatable)
                yield session, row
                name = getattr(row, self._is.key)
                # not before: what the body looks up would write half a row
                session.add(row)
                await session.flush()
                await self._remember(session, subject.repeatable, row.id)
                said = self._is.told(row)
                await self._audit.add(
                    session, subject, "created", resource=self._is.name, resource_id=row.id, after=said
                )
                await self._tell_further(session, subject)
        except IntegrityError as error:
            raise self._taken(name) from error

    @asynccontextmanager
    async def changing(
        self,
        subject: Subject,
        handle: str,
        *,
        revision: int | None = None,
        is_end: bool = False,
        within: AsyncSession | None = None,
    ) -> AsyncGenerator[tuple[AsyncSession, T]]:
        """Give a row to the body, which changes it, and tell the audit what became another; nothing if nothing did.

        Args:
            within: see `creating`.
            revision: the one that the change is meant for, None for whichever there is.
            is_end: after this the row is of no more use: the audit calls it deleted.

        Raises:
            NotFound, PreconditionFailed: it was changed meanwhile.
            Conflict: there is another one of this name.
        """
        name = ""
        try:
            async with self._transaction(within) as session:
                row = await self._found(session, handle, for_update=True)
                self._check(row, revision)
                before = self._is.told(row)
                yield session, row
                # what fails forgets the row
                name = getattr(row, self._is.key)
                await session.flush()
                await self._tell(session, subject, row, before, is_end=is_end)
                await self._tell_further(session, subject)
        except IntegrityError as error:
            raise self._taken(name) from error

    @asynccontextmanager
    async def _transaction(self, within: AsyncSession | None) -> AsyncGenerator[AsyncSession]:
        if within is not None:
            yield within
            return
        async with self._database.session() as session:
            yield session

    async def _refuse_repeated(self, session: AsyncSession, repeatable: Repeatable | None) -> None:
        held = None if repeatable is None else await session.get(IdempotentCreate, repeatable.id)
        if held is None or repeatable is None or held.created_at < datetime.now(UTC) - _REMEMBERED:
            return
        if held.request != repeatable.request:
            raise InvalidRequest(
                "This Idempotency-Key was sent with another request within a day; choose a new one.",
                param="idempotency-key",
            )
        raise RepeatedError(held.resource_id)

    async def _remember(self, session: AsyncSession, repeatable: Repeatable | None, row_id: str) -> None:
        if repeatable is None:
            return
        await session.execute(
            delete(IdempotentCreate).where(IdempotentCreate.created_at < datetime.now(UTC) - _REMEMBERED)
        )
        session.add(
            IdempotentCreate(id=repeatable.id, request=repeatable.request, resource=self._is.name, resource_id=row_id)
        )
        await session.flush()

    async def delete(self, subject: Subject, handle: str, *, revision: int | None = None) -> T:
        """Delete a row for good, and tell the audit; return what it was.

        Raises:
            NotFound, PreconditionFailed: it was changed meanwhile.
            Conflict: other rows name it, or the environment would make it again.
        """
        try:
            async with self._database.session() as session:
                row = await self._found(session, handle, for_update=True)
                self._check(row, revision)
                if row.managed_by == ENVIRONMENT:
                    raise Conflict(
                        f"The environment gives this {self._is.singular}, so the next start would make it again; "
                        "switch it off instead."
                    )
                before = self._is.told(row)
                await session.delete(row)
                await session.flush()
                await self._audit.add(
                    session, subject, "deleted", resource=self._is.name, resource_id=row.id, before=before
                )
        except IntegrityError as error:
            raise Conflict(
                f"The {self._is.singular} is still named by others: delete those first, or switch it off."
            ) from error
        return row

    def _check(self, row: T, revision: int | None) -> None:
        if revision is not None and row.revision != revision:
            raise PreconditionFailed(
                f"The {self._is.singular} was changed meanwhile: it is at revision {row.revision}, not {revision}; "
                "read it again."
            )

    def note(self, session: AsyncSession, row: T) -> None:
        """Say, inside the body of `creating` or `changing`, that a further row is about to become another."""
        self._further(session).append((row, self._is.told(row)))

    def _further(self, session: AsyncSession) -> list[tuple[T, Json]]:
        return session.info.setdefault("further", [])

    async def _tell_further(self, session: AsyncSession, subject: Subject) -> None:
        further = self._further(session)
        while further:
            row, before = further.pop(0)
            await self._tell(session, subject, row, before, is_end=False)

    async def _tell(self, session: AsyncSession, subject: Subject, row: T, before: Json, *, is_end: bool) -> None:
        after = self._is.told(row)
        if before == after:
            return
        action: Action = "deleted" if is_end else "changed"
        old, new = (before, None) if is_end else changed_fields(before, after)
        await self._audit.add(
            session, subject, action, resource=self._is.name, resource_id=row.id, before=old, after=new
        )

    def _taken(self, name: str) -> Conflict:
        return Conflict(
            f"There is another {self._is.singular} named {name[:100]!r}; choose another name.", param=self._is.key
        )

    def _filtered(self, page: Page) -> Select[T]:
        query = select(self._is.table)
        for param, value in {"search": page.search, **page.filters}.items():
            # PostgreSQL has no text with NUL in it
            if "\0" in value:
                raise InvalidRequest(f"{param}: no name has this character.", param=param)
        if page.search:
            name = self._is.column(self._is.key)
            # SQLite knows upper and lower case of ASCII only: of other letters at least the very same are found
            query = query.where(
                or_(
                    func.lower(name).contains(page.search.lower(), autoescape=True),
                    name.contains(page.search, autoescape=True),
                )
            )
        if page.is_enabled is not None:
            query = query.where(self._is.column("is_enabled").is_(page.is_enabled))
        if page.managed_by is not None:
            query = query.where(self._is.column("managed_by") == page.managed_by)
        return query.where(*(self._is.filters[name].condition(value) for name, value in page.filters.items() if value))

    async def _found(self, session: AsyncSession, handle: str, *, for_update: bool = False) -> T:
        row_id, name = self._is.column("id"), self._is.column(self._is.key)
        is_it = or_(row_id == handle, name == handle) if self._is.is_found_by_key else row_id == handle
        # who calls a row by the id of another one gets the other one
        query = select(self._is.table).where(is_it).order_by((row_id == handle).desc()).limit(1)
        # PostgreSQL has no text with NUL in it
        is_text = "\0" not in handle
        found = query.with_for_update(of=self._is.table) if for_update else query
        row = await session.scalar(found) if is_text else None
        if row is None:
            raise NotFound(f"There is no {self._is.singular} {handle[:100]!r}; GET /api/v1/{self._is.name} lists them.")
        return row


def _value_of(place: Place, column: Any) -> str | datetime:
    """Read the value of a cursor as the column has it."""
    if not isinstance(column.type, Instant):
        return place.value
    try:
        return datetime.fromisoformat(place.value)
    except ValueError as error:
        raise InvalidRequest("The cursor is not one of ours; begin again without it.", param="cursor") from error


async def referred(session: AsyncSession, table: type[T], handle: str, *, param: str) -> T:
    """Return the row that a field names by its id or its name.

    Raises:
        NotFound: there is none; `param` says which field it was.
    """
    # Any: that a table has a name, its type cannot say
    named: Any = table
    query = select(named).where(or_(named.id == handle, named.name == handle)).order_by((named.id == handle).desc())
    with session.no_autoflush:
        row: T | None = await session.scalar(query.limit(1))
    if row is None:
        raise NotFound(f"{param}: there is none of the id or the name {handle[:100]!r}.", param=param)
    return row
