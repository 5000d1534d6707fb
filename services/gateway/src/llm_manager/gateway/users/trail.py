"""What the audit is told of people who come, who are refused and who leave."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from llm_manager.gateway.access.rules import Subject
from llm_manager.gateway.audit.rules import Action, Json
from llm_manager.gateway.audit.store import AuditStore
from llm_manager.gateway.users.rules import Allowance
from llm_manager.gateway.users.store import Account
from llm_manager.kit.sql import Database

log = structlog.stdlib.get_logger("gateway")

RESOURCE = "sessions"
_NOBODY = "(unknown)"
# Whoever guesses from many addresses must not fill the audit nor keep others from writing it: 86,400 entries a day.
_BURST, _PER_SECOND = 100, 1.0


class LogInTrail:
    """Entries of the resource `sessions`; the id of one is that of the user."""

    def __init__(self, database: Database, audit: AuditStore, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._audit = audit
        self._allowance = Allowance(_BURST, _PER_SECOND, clock)

    async def refused(self, account: Account | None, *, address: str, request_id: str) -> None:
        """Tell of a failed log-in; None is for a name that nobody has, which takes as long and is not repeated:
        people type their password where the name belongs.

        Raises:
            StoreUnavailable.
        """
        if not self._allowance.take():
            log.warning("log_in_refused", request_id=request_id, address=address, is_audited=False)
            return
        user_id, name = (account.id, account.name) if account is not None else ("", _NOBODY)
        somebody = Subject("user", user_id, name, frozenset(), address=address, request_id=request_id)
        async with self._database.session() as session:
            await self._audit.add(
                session, somebody, "refused", resource=RESOURCE, resource_id=user_id, outcome="refused"
            )

    async def add(
        self,
        session: AsyncSession,
        subject: Subject,
        action: Action,
        *,
        user_id: str,
        before: Json | None = None,
        after: Json | None = None,
    ) -> None:
        """Tell, in the transaction of the change, that sessions of a user began or ended."""
        await self._audit.add(
            session, subject, action, resource=RESOURCE, resource_id=user_id, before=before, after=after
        )
