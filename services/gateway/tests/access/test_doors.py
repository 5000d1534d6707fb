"""No route of the gateway can be reached by somebody who may not, and a new one cannot be forgotten."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import httpx2
import pytest
from fastapi import APIRouter, Depends
from fastapi.routing import APIRoute
from starlette.requests import Request

from llm_manager.core.errors import PermissionRefused
from llm_manager.gateway import health
from llm_manager.gateway.access.endpoints import DOOR, SIGNED_IN, Requires, is_guarded, permissions_of, subject_in
from llm_manager.gateway.access.rules import ROLES, Permission, Role, SignedIn, Subject
from llm_manager.gateway.admin import ADMIN_ROUTERS
from llm_manager.gateway.app import create_app, refuse_open_doors
from llm_manager.gateway.http.bounded import REFUSALS
from llm_manager.gateway.http.exchange import Exchange, attach
from llm_manager.gateway.ingress.routing import LeanRoute

ADMIN_ROUTES = [route for router in ADMIN_ROUTERS for route in router.routes if isinstance(route, APIRoute)]


def door_of(role: Role) -> Callable[[Request], Awaitable[SignedIn]]:
    """Let everybody in with one role."""

    async def enter(_: Request) -> SignedIn:
        return SignedIn(Subject("user", "u1", "ann", ROLES[role]), None)

    return enter


async def _endpoint() -> None: ...


def test_every_route_of_the_gateway_is_guarded() -> None:
    assert create_app() is not None


def test_a_route_without_a_permission_stops_the_start_and_is_named() -> None:
    router = APIRouter(prefix="/api/v1/things")
    router.get("/open")(_endpoint)
    router.get("/guarded", dependencies=[Depends(Requires(Permission.BASE_VIEW))])(_endpoint)
    with pytest.raises(RuntimeError, match=r"name no permission .*: /api/v1/things/open$"):
        refuse_open_doors(router)


def test_what_is_guarded_by_a_permission_or_an_api_key_and_what_is_for_everybody_may_stand() -> None:
    by_key = APIRouter(route_class=LeanRoute)
    by_key.post("/v1/anything")(_endpoint)
    of_a_whole_router = APIRouter(dependencies=[Depends(Requires(Permission.BASE_VIEW))])
    of_a_whole_router.get("/api/v1/things")(_endpoint)
    for router in (by_key, of_a_whole_router, health.router):
        assert router.routes
        refuse_open_doors(router)


def test_a_route_for_whoever_is_logged_in_may_stand_and_needs_no_permission() -> None:
    router = APIRouter(prefix="/api/v1/mine")
    router.get("", dependencies=[Depends(SIGNED_IN)])(_endpoint)
    refuse_open_doors(router)
    [route] = router.routes
    assert isinstance(route, APIRoute)
    assert (is_guarded(route), permissions_of(route)) == (True, [])


@pytest.mark.parametrize(("method", "path"), [("GET", "/api/v1/session"), ("POST", "/api/v1/session/more")])
def test_only_the_log_in_itself_is_for_everybody(method: str, path: str) -> None:
    router = APIRouter()
    router.add_api_route(path, _endpoint, methods=[method])
    with pytest.raises(RuntimeError, match=path):
        refuse_open_doors(router)
    log_in = APIRouter()
    log_in.add_api_route("/api/v1/session", _endpoint, methods=["POST"])
    refuse_open_doors(log_in)


def test_of_the_routes_of_the_admin_api_only_the_session_needs_no_permission() -> None:
    asking_nobody = [(*(route.methods or ()), route.path) for route in ADMIN_ROUTES if not is_guarded(route)]
    assert asking_nobody == [("POST", "/api/v1/session")]
    of_whoever_is_logged_in = {
        (*(route.methods or ()), route.path)
        for route in ADMIN_ROUTES
        if is_guarded(route) and not permissions_of(route)
    }
    assert of_whoever_is_logged_in == {
        ("GET", "/api/v1/session"),
        ("DELETE", "/api/v1/session"),
        ("PUT", "/api/v1/session/password"),
        ("GET", "/api/v1/permissions"),
        ("GET", "/api/v1/roles"),
    }


@pytest.mark.requirement("S46")
@pytest.mark.parametrize("role", Role)
async def test_each_role_is_let_in_exactly_where_it_holds_the_permission(role: Role) -> None:
    app = create_app()
    DOOR.put(app, door_of(role))
    scope: dict[str, object] = {"type": "http", "app": app, "headers": [], "client": ("192.0.2.1", 1)}
    attach(scope, Exchange(()))
    for route in ADMIN_ROUTES:
        for permission in permissions_of(route):
            if permission in ROLES[role]:
                assert (await Requires(permission)(Request(scope), None)).name == "ann"
            else:
                with pytest.raises(PermissionRefused, match=permission.value):
                    await Requires(permission)(Request(scope), None)


async def test_whoever_lacks_the_permission_of_a_route_reads_403_and_its_name() -> None:
    app = create_app()
    DOOR.put(app, door_of(Role.DEVELOPER))
    told: list[tuple[str, str]] = []

    async def tell(request: Request, error: PermissionRefused) -> None:
        subject = subject_in(request)
        told.append((subject.name if subject else "", error.permission))

    REFUSALS.put(app, tell)
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client:
        answers = [
            await client.get("/api/v1/keys"),
            await client.delete("/api/v1/keys/k"),
            await client.patch("/api/v1/apps/a", json={}),
            await client.delete("/api/v1/providers/openai"),
            await client.get("/api/v1/audit/export"),
        ]
    assert [answer.status_code for answer in answers] == [403] * 5
    assert "llm-manager:audit:view" in answers[-1].json()["error"]["message"]
    missing = ("keys", "keys", "keys", "providers")
    assert told == [("ann", f"llm-manager:{area}:manage") for area in missing] + [("ann", "llm-manager:audit:view")]
