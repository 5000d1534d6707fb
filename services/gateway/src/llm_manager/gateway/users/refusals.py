"""What the audit is told of attempts that were refused: failed log-ins, and requests of those who may not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog
from fastapi import Request

from llm_manager.core.errors import PermissionRefused, StoreUnavailable
from llm_manager.gateway.access.endpoints import origin_of, subject_in
from llm_manager.gateway.access.rules import Subject
from llm_manager.gateway.audit.rules import Json
from llm_manager.gateway.audit.store import AuditStore
from llm_manager.gateway.users.rules import Allowance
from llm_manager.kit.masking import mask
from llm_manager.kit.sql import Database

log = structlog.stdlib.get_logger("gateway")

NOBODY = "(unknown)"
# Whoever is refused in a loop must not fill the audit nor keep others from writing it: 86,400 entries a day.
_BURST, _PER_SECOND = 100, 1.0
# A database that takes longer is away, and its own limits are too long for an answer that is known already.
_SECONDS = 2.0


class Refusals:
    """Adds entries of what was refused, as many as an allowance has; of the others the log tells."""

    def __init__(self, database: Database, audit: AuditStore, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._audit = audit
        self._allowance = Allowance(_BURST, _PER_SECOND, clock)
        # the chain has one end anyway; more at once would only take connections from others, all of them in an outage
        self._turn = asyncio.Lock()

    async def add(self, subject: Subject, *, resource: str, resource_id: str, after: Json | None = None) -> None:
        """Tell of one attempt.

        Args:
            after: what was tried, never what was sent.

        Raises:
            StoreUnavailable.
        """
        if not self._allowance.take():
            _not_audited(subject, resource, "too many refusals")
            return
        try:
            async with asyncio.timeout(_SECONDS):
                await self._turn.acquire()
        except TimeoutError as error:
            raise StoreUnavailable("The control-plane database does not answer in time; retry in a moment.") from error
        try:
            async with self._database.session() as session:
                await self._audit.add(
                    session,
                    subject,
                    "refused",
                    resource=resource,
                    resource_id=resource_id,
                    after=after,
                    outcome="refused",
                )
        finally:
            self._turn.release()


class RefusedRequests:
    """Tells of requests on the admin API that end in 403; see `http.bounded.REFUSALS`.

    It never fails and takes two seconds at most: what was refused stays refused, whether or not the database answers.
    """

    def __init__(self, refusals: Refusals) -> None:
        self._refusals = refusals
        self._writing: set[asyncio.Task[None]] = set()

    async def __call__(self, request: Request, error: PermissionRefused) -> None:
        """Add the entry of one request; goes on behind the answer where that takes too long."""
        # a task, as a statement that waits for a lock of the database cannot be called off
        writing = asyncio.create_task(self._write(request, error), name="refusal")
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)
        await asyncio.wait((writing,), timeout=_SECONDS)

    async def _write(self, request: Request, error: PermissionRefused) -> None:
        origin, path = origin_of(request), _template(request)
        subject = subject_in(request) or Subject(
            "user", "", NOBODY, frozenset(), address=origin.address, request_id=origin.request_id
        )
        resource = path.removeprefix("/api/v1/").partition("/")[0]
        tried = {"method": request.method, "path": path, "code": error.code}
        if error.permission:
            tried["permission"] = error.permission
        try:
            await self._refusals.add(subject, resource=resource, resource_id=_id(request), after=tried)
        except StoreUnavailable as outage:
            _not_audited(subject, resource, str(outage))
        except Exception:
            # nobody waits for this task's outcome: the log is all that tells
            log.exception("refusal_not_audited", request_id=origin.request_id, resource=resource)


def _template(request: Request) -> str:
    # of the route, not what was sent: people type keys where an id belongs
    return str(getattr(request.scope.get("route"), "path", ""))


def _id(request: Request) -> str:
    """Return the first id of the path without what looks like a key, nor what a database cannot hold."""
    said = str(next(iter(request.path_params.values()), ""))
    return mask("".join(filter(str.isprintable, said)))


def _not_audited(subject: Subject, resource: str, why: str) -> None:
    log.warning(
        "refusal_not_audited",
        actor=subject.id,
        resource=resource,
        address=subject.address,
        request_id=subject.request_id,
        reason=why,
    )
