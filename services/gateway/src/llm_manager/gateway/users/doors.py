"""The one door of the admin API: a password, an API key, or the cookie of a session."""

from __future__ import annotations

from typing import Protocol

from fastapi import Request

from llm_manager.core.errors import AuthenticationFailed
from llm_manager.gateway.access.endpoints import origin_of
from llm_manager.gateway.access.rules import CSRF_HEADER, SignedIn, Subject
from llm_manager.gateway.users.service import AdminDoor
from llm_manager.gateway.users.session_rules import check_csrf, cookie_in
from llm_manager.gateway.users.sessions import Sessions

_BEARER = "bearer "


class Programs(Protocol):
    """Lets programs in by their API keys."""

    def enter(self, authorization: str | None, *, address: str, request_id: str) -> Subject:
        """See `keys.door.KeyDoor.enter`."""
        ...


class Doors:
    """Tells who sends a request. What the Authorization header says counts before a cookie."""

    def __init__(self, people: AdminDoor, sessions: Sessions, programs: Programs) -> None:
        self._people = people
        self._sessions = sessions
        self._programs = programs

    async def __call__(self, request: Request) -> SignedIn:
        """Return who it is.

        Raises:
            AuthenticationFailed, PermissionRefused, GatewayRateLimited, StoreUnavailable: see the three ways.
        """
        headers, origin = request.headers, origin_of(request)
        authorizations = headers.getlist("authorization")
        cookie = cookie_in(headers.getlist("cookie"))
        if len(authorizations) > 1:
            raise AuthenticationFailed("There are several Authorization headers; send one.")
        shown = authorizations[0] if authorizations else None
        if shown is not None and shown.lower().startswith(_BEARER):
            program = self._programs.enter(shown, address=origin.address, request_id=origin.request_id)
            return SignedIn(program, None)
        if shown is not None or cookie is None:
            person = await self._people.enter(shown, address=origin.address, request_id=origin.request_id)
            return SignedIn(person, None)
        session = await self._sessions.enter(cookie, origin=origin)
        check_csrf(request.method, headers.getlist(CSRF_HEADER), token=session.csrf_token)
        return SignedIn(session.subject, session)
