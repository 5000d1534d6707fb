"""Reads and writes the table of stored responses. What people and models said is sealed at rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import CTE, CursorResult, Delete, Result, delete, func, literal, select, tuple_

from llm_manager.core.errors import InvalidRequest, StoreUnavailable
from llm_manager.gateway.ingress.responses.turn import Turn
from llm_manager.gateway.secrets.sealed import SealedTable
from llm_manager.gateway.tables import StoredResponse
from llm_manager.kit.secrets import SecretBox, SecretBoxError
from llm_manager.kit.sql import Database

# A longer chain is a mistake of its client: each link is a request of its own.
LONGEST_CHAIN = 1_000


class ResponseStore:
    """One transaction per call, and every one names the app.

    Every method raises StoreUnavailable when the database does not answer.
    """

    def __init__(self, database: Database, box: SecretBox) -> None:
        self._database = database
        self._box = box

    async def save(self, turn: Turn) -> None:
        """Store a turn; one of the same id and app is replaced."""
        row = StoredResponse(
            id=turn.id,
            app_id=turn.app_id,
            previous_id=turn.previous_id,
            model=turn.model,
            provider=turn.provider,
            is_upstream=turn.is_upstream,
            created_at=turn.created_at,
            expires_at=turn.expires_at,
            input=self._box.seal(turn.input, aad=_aad(turn.app_id, turn.id, "input")),
            response=self._box.seal(turn.response, aad=_aad(turn.app_id, turn.id, "response")),
        )
        async with self._database.session() as session:
            await session.execute(_delete(turn.app_id, turn.id))
            session.add(row)

    async def get(self, app_id: str, response_id: str, *, now: datetime) -> Turn | None:
        """Return a turn of an app; None when there is none, or it has expired."""
        async with self._database.session(read_only=True) as session:
            row = await session.scalar(
                select(StoredResponse).where(
                    StoredResponse.app_id == app_id,
                    StoredResponse.id == response_id,
                    StoredResponse.expires_at > now,
                )
            )
        return None if row is None else self._turn(row)

    async def chain(self, app_id: str, response_id: str, *, now: datetime, max_bytes: int) -> Sequence[Turn]:
        """Return a turn and all that it goes on from, oldest first; it begins later where an ancestor is gone.

        Raises:
            InvalidRequest: together they are larger than `max_bytes`.
        """
        table, links = StoredResponse, _links(app_id, response_id, now)
        size = func.sum(func.length(table.input) + func.length(table.response))
        joined = select(table).join(links, table.id == links.c.id).where(table.app_id == app_id)
        async with self._database.session(read_only=True) as session:
            if (await session.scalar(joined.with_only_columns(size)) or 0) > max_bytes:
                raise InvalidRequest(
                    f"The conversation before this request is larger than {max_bytes} bytes; compact it with "
                    "POST /v1/responses/compact, or begin a new one.",
                    param="previous_response_id",
                )
            rows = (await session.scalars(joined.order_by(links.c.depth.desc()))).all()
        return [self._turn(row) for row in rows]

    async def delete(self, app_id: str, response_id: str, *, now: datetime) -> bool:
        """Delete a turn of an app; return whether there was one."""
        async with self._database.session() as session:
            statement = _delete(app_id, response_id).where(StoredResponse.expires_at > now)
            return _rows(await session.execute(statement)) > 0

    async def purge(self, *, now: datetime, limit: int) -> int:
        """Delete at most `limit` turns of any app that have expired; return how many."""
        expired = (
            select(StoredResponse.app_id, StoredResponse.id).where(StoredResponse.expires_at <= now).limit(limit)
        ).subquery()
        async with self._database.session() as session:
            statement = delete(StoredResponse).where(
                tuple_(StoredResponse.app_id, StoredResponse.id).in_(select(expired.c.app_id, expired.c.id))
            )
            return _rows(await session.execute(statement))

    def _turn(self, row: StoredResponse) -> Turn:
        try:
            asked = self._box.open(row.input, aad=_aad(row.app_id, row.id, "input"))
            response = self._box.open(row.response, aad=_aad(row.app_id, row.id, "response"))
        except SecretBoxError as error:
            raise StoreUnavailable(
                "A stored response cannot be opened; the master key it was sealed under is missing."
            ) from error
        return Turn(
            id=row.id,
            app_id=row.app_id,
            previous_id=row.previous_id,
            model=row.model,
            provider=row.provider,
            is_upstream=row.is_upstream,
            created_at=row.created_at,
            expires_at=row.expires_at,
            input=asked,
            response=response,
        )


def _aad(app_id: str, response_id: str, what: str) -> bytes:
    return f"stored-response/{app_id}/{response_id}/{what}".encode()


def _walk(row: StoredResponse, put: Callable[[bytes, bytes], bytes]) -> None:
    row.input = put(row.input, _aad(row.app_id, row.id, "input"))
    row.response = put(row.response, _aad(row.app_id, row.id, "response"))


SEALED = SealedTable(
    StoredResponse,
    _walk,
    columns=(StoredResponse.input, StoredResponse.response),
    key=(StoredResponse.id, StoredResponse.app_id),
)


def _links(app_id: str, response_id: str, now: datetime) -> CTE:
    """The ids of a chain with their distance from its end."""
    table = StoredResponse
    links = (
        select(table.id, table.previous_id, literal(0).label("depth"))
        .where(table.app_id == app_id, table.id == response_id, table.expires_at > now)
        .cte("links", recursive=True)
    )
    return links.union_all(
        select(table.id, table.previous_id, links.c.depth + 1).where(
            table.app_id == app_id,
            table.id == links.c.previous_id,
            table.expires_at > now,
            links.c.depth < LONGEST_CHAIN,
        )
    )


def _delete(app_id: str, response_id: str) -> Delete:
    return delete(StoredResponse).where(StoredResponse.app_id == app_id, StoredResponse.id == response_id)


def _rows(result: Result[tuple[()]]) -> int:
    return result.rowcount if isinstance(result, CursorResult) else 0
