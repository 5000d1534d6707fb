"""What the audit is told of people who come, who are refused and who leave."""

from __future__ import annotations

import time
from collections.abc import Callable

from sqlalchemy.ext.asyncio import AsyncSession

from llm_manager.gateway.access.rules import Subject
from llm_manager.gateway.audit.rules import Action, Json
from llm_manager.gateway.audit.store import AuditStore
from llm_manager.gateway.users.refusals import NOBODY, Refusals
from llm_manager.gateway.users.store import Account
from llm_manager.kit.sql import Database

RESOURCE = "sessions"


class LogInTrail:
    """Entries of the resource `sessions`; the id of one is that of the user."""

    def __init__(self, database: Database, audit: AuditStore, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._audit = audit
        self._refusals = Refusals(database, audit, clock=clock)

    async def refused(self, account: Account | None, *, address: str, request_id: str) -> None:
        """Tell of a failed log-in; None is for a name that nobody has, which takes as long and is not repeated:
        people type their password where the name belongs.

        Raises:
            StoreUnavailable.
        """
        user_id, name = (account.id, account.name) if account is not None else ("", NOBODY)
        somebody = Subject("user", user_id, name, frozenset(), address=address, request_id=request_id)
        await self._refusals.add(somebody, resource=RESOURCE, resource_id=user_id)

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
