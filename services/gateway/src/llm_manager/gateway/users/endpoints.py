"""The dependency that guards the admin API: each route names the permission that it needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.security import HTTPBasic

from llm_manager.gateway.access.rules import Permission, Subject
from llm_manager.gateway.http.built import Built
from llm_manager.gateway.http.exchange import exchange_of
from llm_manager.gateway.http.schemas import error_response
from llm_manager.gateway.users.service import AdminDoor

DOOR: Built[AdminDoor] = Built("door")
_basic = HTTPBasic(auto_error=False, realm="LLM Manager", description="User admin with the admin password.")

ADMIN_RESPONSES: dict[int | str, dict[str, Any]] = {
    401: error_response("No or wrong user name and password."),
    400: error_response("A parameter is wrong; `param` names it."),
    403: error_response("The permission is missing; the message names it."),
    429: error_response("Too many failed log-ins."),
    503: error_response("A store does not answer; retry."),
    "default": error_response("Anything else that went wrong."),
}


class Requires:
    """Lets in who holds a permission, and gives the endpoint the subject."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    async def __call__(self, request: Request, _: Annotated[object, Depends(_basic)]) -> Subject:
        address = request.client.host if request.client else ""
        subject = await DOOR.of(request).enter(
            request.headers.get("authorization"), address=address, request_id=exchange_of(request.scope).request_id
        )
        subject.require(self.permission)
        return subject


def permissions_of(route: APIRoute) -> list[Permission]:
    """Return the permissions that a route needs; none where nobody guards it."""
    return list(_needed(route.dependant))


def _needed(dependant: Dependant) -> Iterator[Permission]:
    if isinstance(dependant.call, Requires):
        yield dependant.call.permission
    for inner in dependant.dependencies:
        yield from _needed(inner)
