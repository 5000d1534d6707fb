"""Logging in with a browser, asking who one is, changing one's password, and logging out."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from llm_manager.core.errors import Conflict, PermissionRefused
from llm_manager.gateway.access.endpoints import SIGNED_IN, admin_router, origin_of
from llm_manager.gateway.access.rules import SignedIn, SignedInSession, Subject
from llm_manager.gateway.http.body import read_json_body
from llm_manager.gateway.http.exchange import exchange_of
from llm_manager.gateway.users.people_endpoints import SESSIONS, USERS
from llm_manager.gateway.users.schemas import LogIn, PasswordChange, UserView, WhoView
from llm_manager.gateway.users.session_rules import cleared_cookie, cookie_in, set_cookie

# Everybody may send one, so it is read with a limit of its own: name, password and room to spare.
_MOST_BYTES = 16_384
_BODY = {"content": {"application/json": {"schema": LogIn.model_json_schema()}}, "required": True}
router = admin_router("session", "Session")
Somebody = Annotated[SignedIn, Depends(SIGNED_IN)]


def _person(somebody: Somebody) -> SignedIn:
    if somebody.subject.kind == "api_key":
        raise PermissionRefused("An API key has no password; log in as the user whose password shall be another one.")
    return somebody


Person = Annotated[SignedIn, Depends(_person)]


@router.post("", openapi_extra={"requestBody": _BODY})
async def log_in(request: Request, response: Response) -> WhoView:
    """Log in: the answer sets a cookie, and holds the token that a page sends with every change."""
    raw = await read_json_body(exchange_of(request.scope), request.receive, max_bytes=_MOST_BYTES)
    body = _read(raw)
    cookie, session = await SESSIONS.of(request).log_in(
        body.name,
        body.password,
        origin=origin_of(request),
        cookie=cookie_in(request.headers.getlist("cookie")),
    )
    response.headers["set-cookie"] = set_cookie(cookie)
    return await _who(request, response, session.subject, session)


@router.get("")
async def who_am_i(request: Request, response: Response, somebody: Somebody) -> WhoView:
    """Say who is logged in, and what that person may."""
    return await _who(request, response, somebody.subject, somebody.session)


@router.delete("", status_code=204)
async def log_out(request: Request, somebody: Somebody) -> Response:
    """End the session and take its cookie away."""
    if somebody.session is None:
        raise Conflict("HTTP Basic has no session that could end; send the cookie without an Authorization header.")
    await SESSIONS.of(request).log_out(somebody.session)
    return Response(status_code=204, headers={"set-cookie": cleared_cookie(), "cache-control": "no-store"})


@router.put("/password", status_code=204)
async def change_password(request: Request, person: Person, body: PasswordChange) -> Response:
    """Change one's own password: the current one is checked as for a log-in. All other sessions of the user end."""
    await USERS.of(request).change_own_password(
        person.subject,
        current=body.current_password,
        new=body.new_password,
        session_id=person.session.id if person.session is not None else None,
    )
    return Response(status_code=204)


def _read(raw: bytes) -> LogIn:
    try:
        return LogIn.model_validate_json(raw)
    except ValidationError as error:
        # without what was sent: it is a password
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in found]) from None


async def _who(request: Request, response: Response, subject: Subject, session: SignedInSession | None) -> WhoView:
    if subject.kind == "api_key":
        raise Conflict(f"An API key is nobody who logs in; GET /api/v1/keys/{subject.id} shows what it may.")
    response.headers["cache-control"] = "no-store"
    return WhoView(
        user=UserView.model_validate(await USERS.of(request).find(subject.id)),
        permissions=sorted(subject.permissions),
        csrf_token=session.csrf_token if session is not None else None,
        expires_at=session.ends_at if session is not None else None,
    )
