"""What the application has at an address, for refusals that help."""

from __future__ import annotations

from collections.abc import Iterator

from starlette.requests import Request
from starlette.routing import Match, Router
from starlette.types import Scope

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_VERSION = "/v1"
# Where people point clients that add the rest of the path themselves.
_OTHER_VERSIONS = ("/v1beta", "/v2", "/api/v1")
# A longer path is no slip of somebody's base URL, and looking for its likeness costs.
_LONGEST_SLIP = 200


def methods_at(request: Request, path: str) -> tuple[str, ...]:
    """Return the methods that an address takes, HEAD beside GET; none when it does not exist."""
    router: Router = request.app.router
    found = [method for method in _METHODS if _takes(router, request.scope, method, path)]
    if "GET" in found:
        found.insert(1, "HEAD")
    return tuple(found)


def right_address(request: Request) -> str | None:
    """Return the address that a request most likely means, or None: base URLs go wrong in a few ways only."""
    router: Router = request.app.router
    method, path = request.method, request.scope["path"]
    if len(path) > _LONGEST_SLIP:
        return None
    return next((other for other in _candidates(path) if _takes(router, request.scope, method, other)), None)


def _candidates(path: str) -> Iterator[str]:
    bare = path.rstrip("/")
    if bare != path:
        yield bare
    yield _VERSION + bare
    head, doubled, rest = bare.partition(_VERSION * 2 + "/")
    if doubled:
        yield f"{head}{_VERSION}/{rest}"
    for version in (_VERSION, *_OTHER_VERSIONS):
        # "/v1/v2/chat": the client adds a version of its own
        if bare.startswith(_VERSION + version + "/"):
            yield bare.removeprefix(_VERSION)
    if not bare.startswith(_VERSION):
        for version in _OTHER_VERSIONS:
            yield version + bare


def _takes(router: Router, scope: Scope, method: str, path: str) -> bool:
    asked = {**scope, "method": method, "path": path, "raw_path": path.encode()}
    return any(route.matches(asked)[0] is Match.FULL for route in router.routes)
