"""The dependencies that guard the admin API: each route names the permission that it needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.security import APIKeyCookie, HTTPBasic, HTTPBearer
from starlette.requests import HTTPConnection

from llm_manager.gateway.access.rules import COOKIE, CSRF_HEADER, Origin, Permission, SignedIn, Subject
from llm_manager.gateway.http.bounded import BoundedRoute
from llm_manager.gateway.http.built import Built
from llm_manager.gateway.http.exchange import exchange_of
from llm_manager.gateway.http.schemas import error_response

# Tells who sends a request, or raises what refuses it; see `users.doors.Doors`.
DOOR: Built[Callable[[Request], Awaitable[SignedIn]]] = Built("door")
_SUBJECT = "llm_manager.subject"

ADMIN_RESPONSES: dict[int | str, dict[str, Any]] = {
    401: error_response("No or wrong user name and password, or a session that has ended."),
    400: error_response("The body is no JSON."),
    422: error_response("A field or a parameter is wrong or unknown; `param` names it."),
    403: error_response("The permission is missing, and the message names it; or the CSRF token of a session is."),
    404: error_response("There is nothing of this id or name, at the address or named in the body."),
    409: error_response("A name is taken, the thing is still named by others, or the change would lock people out."),
    412: error_response("If-Match names another revision than that of now."),
    413: error_response("The body is larger than 1 MiB; of a log-in than 16 KiB."),
    415: error_response("The body is not JSON, or compressed."),
    429: error_response("Too many failed log-ins."),
    503: error_response("A store does not answer; retry."),
    "default": error_response("Anything else that went wrong."),
}


# FastAPI's own would read the header, and refuse names and passwords that are not ASCII; here they only describe.
class _Basic(HTTPBasic):
    async def __call__(self, request: HTTPConnection) -> None:
        del request


class _Bearer(HTTPBearer):
    async def __call__(self, request: HTTPConnection) -> None:
        del request


class _Cookie(APIKeyCookie):
    async def __call__(self, request: HTTPConnection) -> None:
        del request


_basic = _Basic(
    scheme_name="HTTPBasic", auto_error=False, realm="LLM Manager", description="Name and password of a user."
)
_bearer = _Bearer(
    scheme_name="AdminKey", auto_error=False, description="An API key whose scopes are permissions of the admin API."
)
_cookie = _Cookie(
    name=COOKIE,
    scheme_name="Session",
    auto_error=False,
    description=f"What POST /api/v1/session gave; whatever changes something also needs {CSRF_HEADER}.",
)


def _schemes(
    _: Annotated[object, Depends(_basic)],
    __: Annotated[object, Depends(_cookie)],
    ___: Annotated[object, Depends(_bearer)],
) -> None:
    """Say in the document how people and programs come in."""


def admin_router(name: str, tag: str, *, needs: Permission | None = None) -> APIRouter:
    """Return a router of the admin API for the resource of a name.

    Args:
        needs: what every route of it needs; None where each route says it.
    """
    return APIRouter(
        prefix=f"/api/v1/{name}",
        tags=[tag],
        dependencies=[] if needs is None else [Depends(Requires(needs))],
        responses=ADMIN_RESPONSES,
        route_class=BoundedRoute,
    )


class Guard:
    """Lets in who is known, whatever that somebody may."""

    async def __call__(self, request: Request, _: Annotated[object, Depends(_schemes)]) -> SignedIn:
        """Return who it is."""
        signed_in = await DOOR.of(request)(request)
        remember(request, signed_in.subject)
        return signed_in


class Requires:
    """Lets in who holds a permission, and gives the endpoint the subject."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    async def __call__(self, request: Request, _: Annotated[object, Depends(_schemes)]) -> Subject:
        signed_in = await SIGNED_IN(request, None)
        signed_in.subject.require(self.permission)
        return signed_in.subject


SIGNED_IN = Guard()


def remember(request: Request, subject: Subject) -> None:
    """Keep who sends a request, for the case that it is refused."""
    request.scope[_SUBJECT] = subject


def subject_in(request: Request) -> Subject | None:
    """Return who sends a request; None where nobody is known yet."""
    return cast("Subject | None", request.scope.get(_SUBJECT))


def origin_of(request: Request) -> Origin:
    """Return where a request came from."""
    address = request.client.host if request.client else ""
    agent = request.headers.get("user-agent", "")
    return Origin(address, exchange_of(request.scope).request_id, agent)


def permissions_of(route: APIRoute) -> list[Permission]:
    """Return the permissions that a route needs; none where nobody guards it, or who is logged in is enough."""
    return [call.permission for call in _calls(route.dependant) if isinstance(call, Requires)]


def is_guarded(route: APIRoute) -> bool:
    """Return whether a route asks who calls."""
    return any(isinstance(call, Requires | Guard) for call in _calls(route.dependant))


def _calls(dependant: Dependant) -> Iterator[object]:
    yield dependant.call
    for inner in dependant.dependencies:
        yield from _calls(inner)
