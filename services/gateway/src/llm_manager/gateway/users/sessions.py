"""Sessions of people in browsers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import structlog

from llm_manager.core.errors import AuthenticationFailed, StoreUnavailable
from llm_manager.gateway.access.rules import Origin, SignedInSession, Subject
from llm_manager.gateway.secrets.rules import HashSecrets, Purpose
from llm_manager.gateway.tables import Session
from llm_manager.gateway.users import session_rules as rules
from llm_manager.gateway.users.service import AdminDoor, subject_of
from llm_manager.gateway.users.session_store import SessionStore

log = structlog.stdlib.get_logger("gateway")

_PURGE_EVERY_SECONDS, _PURGED_AT_ONCE = 600.0, 500
_LONGEST_ADDRESS, _LONGEST_AGENT = 64, 500


class Sessions:
    """Opens, finds and ends sessions. They are the same for all gateways of a database.

    Every method raises StoreUnavailable when the database does not answer.
    """

    def __init__(
        self,
        store: SessionStore,
        door: AdminDoor,
        hashes: HashSecrets,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        random: Callable[[], bytes] = lambda: os.urandom(32),
    ) -> None:
        self._store = store
        self._door = door
        self._pepper, self._csrf_key = hashes[Purpose.SESSION], hashes[Purpose.CSRF]
        self._clock = clock
        self._random = random

    async def log_in(
        self, name: str, password: str, *, origin: Origin, cookie: str | None
    ) -> tuple[str, SignedInSession]:
        """Check a password, and return a cookie for it and the session that it opens.

        Args:
            cookie: what the browser showed; its session ends, so that nobody can plant one before a log-in.

        Raises:
            AuthenticationFailed, GatewayRateLimited: see `AdminDoor.check`.
        """
        account = await self._door.check(name, password, address=origin.address, request_id=origin.request_id)
        subject = subject_of(account, address=origin.address, request_id=origin.request_id)
        value, now = rules.value_of(self._random()), self._clock()
        row = Session(
            id=self._id(value),
            user_id=account.id,
            created_at=now,
            seen_at=now,
            expires_at=now + rules.LONGEST,
            address=origin.address[:_LONGEST_ADDRESS],
            agent="".join(filter(str.isprintable, origin.agent))[:_LONGEST_AGENT],
        )
        instead_of = self._id(cookie) if cookie is not None else None
        if not await self._store.begin(subject, row, account, instead_of=instead_of):
            raise AuthenticationFailed("The user was changed at this moment; log in again.")
        return value, self._opened(value, row, subject)

    async def enter(self, cookie: str, *, origin: Origin) -> SignedInSession:
        """Return the session that a cookie opens.

        Raises:
            AuthenticationFailed: it ended, or its user was switched off.
        """
        now = self._clock()
        found = await self._store.find(self._id(cookie), now=now)
        if found is None:
            raise AuthenticationFailed("The session has ended; log in again with POST /api/v1/session.")
        row, account = found
        if now - row.seen_at >= rules.SEEN_EVERY:
            await self._store.see(row.id, now=now)
            row.seen_at = now
        subject = subject_of(account, address=origin.address, request_id=origin.request_id)
        return self._opened(cookie, row, subject)

    async def log_out(self, opened: SignedInSession) -> None:
        """End a session; one that has ended already stays so."""
        await self._store.end(opened.subject, opened.id)

    async def of_user(self, user_id: str) -> Sequence[Session]:
        """Return the live sessions of a user, the one used last first."""
        return await self._store.of_user(user_id, now=self._clock())

    @asynccontextmanager
    async def purging(self, *, every_seconds: float = _PURGE_EVERY_SECONDS) -> AsyncGenerator[None]:
        """Delete what has ended while the body runs."""
        task = asyncio.create_task(self._purge_regularly(every_seconds), name="sessions-purge")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def purge(self) -> int:
        """Delete what has ended; return how many."""
        count = 0
        while True:
            deleted = await self._store.purge(now=self._clock(), limit=_PURGED_AT_ONCE)
            count += deleted
            if deleted < _PURGED_AT_ONCE:
                return count

    async def _purge_regularly(self, every_seconds: float) -> None:
        while True:
            try:
                count = await self.purge()
            except StoreUnavailable as error:
                # the next round comes by itself, and what has ended opens nothing until then
                log.warning("sessions_not_purged", error=str(error))
            else:
                if count:
                    log.info("sessions_purged", count=count)
            await asyncio.sleep(every_seconds)

    def _id(self, cookie: str) -> str:
        return rules.hash_of(cookie, pepper=self._pepper)

    def _opened(self, cookie: str, row: Session, subject: Subject) -> SignedInSession:
        return SignedInSession(
            id=row.id,
            subject=subject,
            csrf_token=rules.csrf_token(cookie, key=self._csrf_key),
            ends_at=rules.ends_at(seen_at=row.seen_at, expires_at=row.expires_at),
        )
