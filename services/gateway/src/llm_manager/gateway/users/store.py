"""Reads and writes the table of users."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from llm_manager.gateway.access.rules import Role
from llm_manager.gateway.tables import ENVIRONMENT, User
from llm_manager.kit.sql import Database

ADMIN_NAME = "admin"
# argon2id, 19 MiB and two passes on one core: about 20 ms a check, and no jump in the memory of a small machine.
# Source: OWASP Password Storage Cheat Sheet, read 2026-11.
_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)


def is_password(password: str, password_hash: str) -> bool:
    """Check a password; blocks for about 20 ms."""
    try:
        return _hasher.verify(password_hash, password)
    except (VerifyMismatchError, InvalidHashError):
        return False


@dataclass(frozen=True, slots=True)
class Account:
    """What is needed to let a person in."""

    id: str
    password_hash: str


async def account_of(database: Database, name: str) -> Account | None:
    """Return the account of an enabled user, None when there is none.

    Raises:
        StoreUnavailable: the database does not answer.
    """
    async with database.session(read_only=True) as session:
        row = await session.scalar(select(User).where(User.name == name, User.is_enabled))
        return Account(row.id, row.password_hash) if row is not None else None


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
