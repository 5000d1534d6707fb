"""Reads and writes the table of users, as far as letting them in needs it."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from llm_manager.gateway.access.rules import Role
from llm_manager.gateway.tables import ENVIRONMENT, User
from llm_manager.kit.sql import Database

ADMIN_NAME = "admin"
LONGEST_NAME = 200
# argon2id, 19 MiB and two passes on one core: about 20 ms a check, and no jump in the memory of a small machine.
# Source: OWASP Password Storage Cheat Sheet, read 2026-11.
_PASSES, _KIBIBYTES, _LANES = 2, 19_456, 1
_hasher = PasswordHasher(time_cost=_PASSES, memory_cost=_KIBIBYTES, parallelism=_LANES)
# Of no password, and as dear to check as any: for names that nobody has.
NO_HASH = "$argon2id$v=19$m={},t={},p={}${}${}".format(
    _KIBIBYTES, _PASSES, _LANES, *(base64.b64encode(bytes(size)).decode().rstrip("=") for size in (16, 32))
)


def is_password(password: str, password_hash: str) -> bool:
    """Check a password; blocks for about 20 ms."""
    try:
        return _hasher.verify(password_hash, password)
    except (VerifyMismatchError, InvalidHashError):
        return False


def hash_password(password: str) -> str:
    """Return what is kept of a password; blocks for about 20 ms."""
    return _hasher.hash(password)


@dataclass(frozen=True, slots=True)
class Account:
    """What is needed to let a person in."""

    id: str
    name: str
    password_hash: str
    roles: tuple[str, ...]


def account(row: User) -> Account:
    """Return the account of a row."""
    return Account(row.id, row.name, row.password_hash, tuple(row.roles))


async def account_of(database: Database, name: str) -> Account | None:
    """Return the account of an enabled user, None when there is none.

    Raises:
        StoreUnavailable: the database does not answer.
    """
    # PostgreSQL refuses a NUL in a text; the query is made all the same, so that all names take the same time
    is_possible = len(name) <= LONGEST_NAME and "\0" not in name
    async with database.session(read_only=True) as session:
        query = select(User).where(User.name == (name if is_possible else ""), User.is_enabled)
        row = await session.scalar(query)
    return account(row) if row is not None else None


async def ensure_admin(session: AsyncSession, password: str | None) -> None:
    """Make the user admin have the environment's password; without one, switch the user off."""
    row = await session.scalar(select(User).where(User.name == ADMIN_NAME))
    if row is not None and row.managed_by != ENVIRONMENT:
        return
    if not password:
        if row is not None:
            row.is_enabled = False
        return
    if row is None:
        hashed = await asyncio.to_thread(_hasher.hash, password)
        session.add(User(name=ADMIN_NAME, managed_by=ENVIRONMENT, password_hash=hashed, roles=[Role.SUPER_ADMIN.value]))
        return
    row.is_enabled = True
    is_same = await asyncio.to_thread(is_password, password, row.password_hash)
    if not is_same or _hasher.check_needs_rehash(row.password_hash):
        row.password_hash = await asyncio.to_thread(_hasher.hash, password)
