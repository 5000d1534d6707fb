"""Admin API of users."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request, Response

from llm_manager.gateway.access.endpoints import Requires, admin_router
from llm_manager.gateway.access.rules import Permission, Subject
from llm_manager.gateway.http.built import Built
from llm_manager.gateway.resources.endpoints import Paged, Revision, listed, shown
from llm_manager.gateway.resources.schemas import ListOf
from llm_manager.gateway.tables import Session
from llm_manager.gateway.users.people import UserService
from llm_manager.gateway.users.schemas import SessionList, SessionView, UserBody, UserChange, UserView
from llm_manager.gateway.users.session_rules import ends_at
from llm_manager.gateway.users.sessions import Sessions

SESSIONS: Built[Sessions] = Built("sessions")
USERS: Built[UserService] = Built("users")
router = admin_router("users", "Users")
Manager = Annotated[Subject, Depends(Requires(Permission.USERS_MANAGE))]
# Of the hash: enough to tell the sessions of one user apart.
_SHOWN_ID = 16


@router.get("")
async def list_users(request: Request, _: Manager, page: Paged) -> ListOf[UserView]:
    """List users page by page, sorted by `name` or `created`."""
    return listed(await USERS.of(request).page(page), UserView)


@router.post("", status_code=201)
async def create_user(request: Request, response: Response, subject: Manager, body: UserBody) -> UserView:
    """Make a user, who may log in at once."""
    return shown(response, await USERS.of(request).create(subject, body.model_dump()), UserView)


@router.get("/{user}")
async def get_user(request: Request, response: Response, _: Manager, user: str) -> UserView:
    """Return a user by id or name."""
    return shown(response, await USERS.of(request).find(user), UserView)


@router.patch("/{user}")
async def change_user(
    request: Request, response: Response, subject: Manager, *, user: str, body: UserChange, revision: Revision
) -> UserView:
    """Change the fields that are sent. Another password, other roles or switching off end the user's sessions."""
    said = body.model_dump(exclude_unset=True)
    return shown(response, await USERS.of(request).change(subject, user, said, revision=revision), UserView)


@router.get("/{user}/sessions")
async def list_sessions(request: Request, _: Manager, user: str) -> SessionList:
    """List the browsers in which a user is logged in, the one used last first."""
    row = await USERS.of(request).find(user)
    return SessionList(data=[_session_view(one) for one in await SESSIONS.of(request).of_user(row.id)])


@router.delete("/{user}/sessions", status_code=204)
async def end_sessions(request: Request, subject: Manager, user: str) -> Response:
    """Log a user out everywhere; the password goes on working."""
    await USERS.of(request).end_sessions(subject, user)
    return Response(status_code=204)


def _session_view(row: Session) -> SessionView:
    return SessionView(
        id=row.id[:_SHOWN_ID],
        address=row.address,
        agent=row.agent,
        created_at=row.created_at,
        seen_at=row.seen_at,
        expires_at=ends_at(seen_at=row.seen_at, expires_at=row.expires_at),
    )
