"""The one door of the admin API: a password, an API key, or the cookie of a session."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from typing import Any, Protocol

from fastapi import Request

from llm_manager.core.errors import AuthenticationFailed, InvalidRequest
from llm_manager.gateway.access.endpoints import origin_of, remember
from llm_manager.gateway.access.rules import CSRF_HEADER, Repeatable, SignedIn, Subject
from llm_manager.gateway.http.bounded import body_in
from llm_manager.gateway.users.service import AdminDoor
from llm_manager.gateway.users.session_rules import check_csrf, cookie_in
from llm_manager.gateway.users.sessions import Sessions

_BEARER = "bearer "
_IDEMPOTENCY, _LONGEST_KEY = "idempotency-key", 255


# Any: OpenAPI's own form
IDEMPOTENCY_PARAMETER: Mapping[str, Any] = {
    "name": _IDEMPOTENCY,
    "in": "header",
    "required": False,
    "description": "A request that is sent again with the same key within a day makes nothing a second time.",
    "schema": {"type": "string", "minLength": 1, "maxLength": _LONGEST_KEY, "pattern": "^[ -~]*$"},
}


class Programs(Protocol):
    """Lets programs in by their API keys."""

    def enter(
        self, authorization: str | None, *, address: str, request_id: str, known: Callable[[Subject], None]
    ) -> Subject:
        """See `keys.door.KeyDoor.enter`."""
        ...


class Doors:
    """Tells who sends a request. What the Authorization header says counts before a cookie.

    Args:
        mark_key: for the marks of requests that may be sent again.
    """

    def __init__(self, people: AdminDoor, sessions: Sessions, programs: Programs, *, mark_key: bytes) -> None:
        self._mark_key = mark_key
        self._people = people
        self._sessions = sessions
        self._programs = programs

    async def __call__(self, request: Request) -> SignedIn:
        """Return who it is.

        Raises:
            AuthenticationFailed, PermissionRefused, GatewayRateLimited, StoreUnavailable: see the three ways.
            InvalidRequest: the Idempotency-Key is none.
        """
        somebody = await self._let_in(request)
        keys = request.headers.getlist(_IDEMPOTENCY)
        if not keys:
            return somebody
        subject = replace(somebody.subject, repeatable=self._repeatable(somebody.subject, keys, request))
        return replace(somebody, subject=subject)

    def _repeatable(self, subject: Subject, keys: Sequence[str], request: Request) -> Repeatable:
        [key, *others] = keys
        if others or not (0 < len(key) <= _LONGEST_KEY and key.isascii() and key.isprintable()):
            raise InvalidRequest(
                f"{_IDEMPOTENCY}: one, of 1 to {_LONGEST_KEY} printable characters.", param=_IDEMPOTENCY
            )
        who = "\0".join((subject.kind, subject.id, key))
        what = "\0".join((request.method, request.url.path)).encode(errors="replace") + b"\0" + body_in(request.scope)
        return Repeatable(self._mark(who.encode()), self._mark(what))

    def _mark(self, said: bytes) -> str:
        # keyed, because bodies hold passwords
        return blake2b(said, key=self._mark_key, digest_size=32).hexdigest()

    async def _let_in(self, request: Request) -> SignedIn:
        headers, origin = request.headers, origin_of(request)
        authorizations = headers.getlist("authorization")
        cookie = cookie_in(headers.getlist("cookie"))
        if len(authorizations) > 1:
            raise AuthenticationFailed("There are several Authorization headers; send one.")
        shown = authorizations[0] if authorizations else None
        if shown is not None and shown.lower().startswith(_BEARER):
            program = self._programs.enter(
                shown, address=origin.address, request_id=origin.request_id, known=partial(remember, request)
            )
            return SignedIn(program, None)
        if shown is not None or cookie is None:
            person = await self._people.enter(shown, address=origin.address, request_id=origin.request_id)
            return SignedIn(person, None)
        session = await self._sessions.enter(cookie, origin=origin)
        remember(request, session.subject)
        check_csrf(request.method, headers.getlist(CSRF_HEADER), token=session.csrf_token)
        return SignedIn(session.subject, session)
