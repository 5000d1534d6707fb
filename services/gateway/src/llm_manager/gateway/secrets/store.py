"""Reads and seals anew what the database keeps sealed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from llm_manager.gateway.secrets.rules import HashSecrets, Purpose, hash_aad, opened
from llm_manager.gateway.secrets.sealed import SealedTable
from llm_manager.gateway.tables import HashSecret
from llm_manager.kit.secrets import SecretBox, SecretBoxError, key_id_in
from llm_manager.kit.sql import Database

# An envelope may hold a conversation of some megabytes.
_ROWS_AT_ONCE = 10
# Where an envelope holds the id of its key; SQL counts from 1.
_ID_FROM, _ID_LENGTH = 2, 8

Position = tuple[Any, ...]


async def ensure_hash_secrets(session: AsyncSession, box: SecretBox) -> HashSecrets:
    """Return what hashes are keyed by, kept from the first start on.

    Raises:
        SettingsError: see `rules.opened`.
    """
    kept = {row.name: row.envelope for row in await session.scalars(select(HashSecret))}
    secrets = opened(box, kept)
    for purpose in Purpose:
        if purpose not in kept:
            session.add(HashSecret(name=purpose, envelope=box.seal(secrets[purpose], aad=hash_aad(purpose))))
    return secrets


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows that were looked at.

    Args:
        resealed: how many envelopes got under the active key.
        unreadable: where envelopes are that no master key opens, as `table/id`.
        last: where the next batch goes on, None at the end.
    """

    resealed: int
    unreadable: tuple[str, ...]
    last: Position | None


class SecretStore:
    """Every method raises StoreUnavailable when the database does not answer."""

    def __init__(self, database: Database, box: SecretBox, tables: Sequence[SealedTable[Any]]) -> None:
        self._database = database
        self._box = box
        self.tables = tables

    async def counts(self) -> Counter[str]:
        """Return how many envelopes there are by the id of their master key."""
        found: Counter[str] = Counter()
        async with self._database.session(read_only=True) as session:
            for table in self.tables:
                for column in table.columns:
                    key_id = func.substr(column, _ID_FROM, _ID_LENGTH)
                    query = select(key_id, func.count()).where(column.is_not(None)).group_by(key_id)
                    for row_id, count in await session.execute(query):
                        found[bytes(row_id).hex()] += count
                if not table.columns:
                    for row in await session.scalars(select(table.table)):
                        found.update(key_id_in(envelope) for envelope in _envelopes(table, row))
        return found

    async def reseal(self, table: SealedTable[Any], *, after: Position | None) -> Batch:
        """Put the envelopes of the next rows of a table under the active key, in one transaction."""
        key = table.key or (table.table.id,)
        query = select(table.table).order_by(*key).limit(_ROWS_AT_ONCE).with_for_update(of=table.table)
        if table.columns:
            active = bytes.fromhex(self._box.active_key_id)
            query = query.where(or_(*(func.substr(one, _ID_FROM, _ID_LENGTH) != active for one in table.columns)))
        if after is not None:
            query = query.where(tuple_(*key) > tuple_(*after))
        resealed, unreadable = 0, list[str]()
        row: Any = None

        def put(envelope: bytes, aad: bytes) -> bytes:
            nonlocal resealed
            if not self._box.needs_resealing(envelope):
                return envelope
            try:
                fresh = self._box.reseal(envelope, aad=aad)
            except SecretBoxError:
                unreadable.append(f"{table.table.__tablename__}/{row.id}")
                return envelope
            resealed += 1
            return fresh

        async with self._database.session() as session:
            for row in await session.scalars(query):
                table.walk(row, put)
            last = None if row is None else tuple(getattr(row, column.key) for column in key)
        return Batch(resealed, tuple(unreadable), last)


def _envelopes(table: SealedTable[Any], row: object) -> Iterator[bytes]:
    found: list[bytes] = []

    def look(envelope: bytes, _: bytes) -> bytes:
        found.append(envelope)
        return envelope

    table.walk(row, look)
    return iter(found)
