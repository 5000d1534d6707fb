"""The dependency that guards the admin API."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPBasic

from llm_manager.gateway.http.built import Built
from llm_manager.gateway.http.schemas import error_response
from llm_manager.gateway.users.service import AdminDoor

DOOR: Built[AdminDoor] = Built("door")
_basic = HTTPBasic(auto_error=False, realm="LLM Manager", description="User admin with the admin password.")

ADMIN_RESPONSES: dict[int | str, dict[str, Any]] = {
    401: error_response("No or wrong user name and password."),
    400: error_response("A parameter is wrong; `param` names it."),
    429: error_response("Too many failed log-ins."),
    503: error_response("A store does not answer; retry."),
    "default": error_response("Anything else that went wrong."),
}


async def admin(request: Request, _: Annotated[object, Depends(_basic)]) -> None:
    """Let only the admin pass. Raises as AdminDoor.enter."""
    address = request.client.host if request.client else ""
    await DOOR.of(request).enter(request.headers.get("authorization"), address=address)
