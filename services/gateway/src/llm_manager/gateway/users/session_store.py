"""Reads and writes sessions. Every method raises StoreUnavailable when the database does not answer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from llm_manager.gateway.access.rules import Subject
from llm_manager.gateway.tables import Session, User
from llm_manager.gateway.users.session_rules import IDLE, MOST_OF_A_USER, SEEN_EVERY
from llm_manager.gateway.users.store import Account, account
from llm_manager.gateway.users.trail import LogInTrail
from llm_manager.kit.sql import Database


class SessionStore:
    """The table of sessions. Who begins or ends one is told to the audit in the same transaction."""

    def __init__(self, database: Database, trail: LogInTrail) -> None:
        self._database = database
        self._trail = trail

    async def begin(self, subject: Subject, row: Session, of: Account, *, instead_of: str | None) -> bool:
        """Add a session; False when the account was changed since its password was checked.

        Args:
            instead_of: id of the session that the same browser had before, which ends.
        """
        async with self._database.session() as session:
            # locked, so that a change of the password waits or is seen
            user = await session.scalar(select(User).where(User.id == of.id, User.is_enabled).with_for_update())
            if user is None or user.password_hash != of.password_hash:
                return False
            if instead_of is not None:
                await session.execute(delete(Session).where(Session.id == instead_of))
            newest = select(Session.id).where(Session.user_id == of.id).order_by(Session.seen_at.desc(), Session.id)
            kept = list(await session.scalars(newest.limit(MOST_OF_A_USER - 1)))
            await session.execute(delete(Session).where(Session.user_id == of.id, Session.id.not_in(kept)))
            session.add(row)
            await session.flush()
            said = {"name": of.name, "agent": row.agent}
            await self._trail.add(session, subject, "created", user_id=of.id, after=said)
        return True

    async def find(self, session_id: str, *, now: datetime) -> tuple[Session, Account] | None:
        """Return a live session of an enabled user, None when there is none."""
        query = select(Session, User).join(User, User.id == Session.user_id)
        async with self._database.session(read_only=True) as session:
            found = (
                await session.execute(query.where(Session.id == session_id, User.is_enabled, *_is_live(now)))
            ).one_or_none()
        return (found[0], account(found[1])) if found is not None else None

    async def see(self, session_id: str, *, now: datetime) -> None:
        """Note that a session is used; once a minute is enough."""
        is_due = Session.seen_at <= now - SEEN_EVERY
        async with self._database.session() as session:
            await session.execute(update(Session).where(Session.id == session_id, is_due).values(seen_at=now))

    async def end(self, subject: Subject, session_id: str) -> None:
        """Delete a session at the wish of its user."""
        async with self._database.session() as session:
            if await _deleted(session, Session.id == session_id):
                await self._trail.add(
                    session, subject, "deleted", user_id=subject.id, before={"name": subject.name, "sessions": 1}
                )

    async def end_all(self, session: AsyncSession, subject: Subject, user: User, *, but: str | None = None) -> None:
        """Delete all sessions of a user, in a transaction that others began.

        Args:
            but: id of the one that goes on.
        """
        ends = (Session.user_id == user.id,) if but is None else (Session.user_id == user.id, Session.id != but)
        count = await _deleted(session, and_(*ends))
        if count:
            before = {"name": user.name, "sessions": count}
            await self._trail.add(session, subject, "deleted", user_id=user.id, before=before)

    async def of_user(self, user_id: str, *, now: datetime) -> Sequence[Session]:
        """Return the live sessions of a user, the one used last first."""
        query = select(Session).where(Session.user_id == user_id, *_is_live(now))
        async with self._database.session(read_only=True) as session:
            return list(await session.scalars(query.order_by(Session.seen_at.desc(), Session.id)))

    async def purge(self, *, now: datetime, limit: int) -> int:
        """Delete at most `limit` sessions that have ended; return how many."""
        is_over = (Session.expires_at <= now) | (Session.seen_at <= now - IDLE)
        # what is locked is being deleted by somebody else, and two who delete many wait for each other
        over = select(Session.id).where(is_over).limit(limit).with_for_update(skip_locked=True)
        async with self._database.session() as session:
            found = list(await session.scalars(over))
            return await _deleted(session, Session.id.in_(found))


def _is_live(now: datetime) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return Session.expires_at > now, Session.seen_at > now - IDLE


async def _deleted(session: AsyncSession, condition: ColumnElement[bool]) -> int:
    return len(list(await session.scalars(delete(Session).where(condition).returning(Session.id))))
