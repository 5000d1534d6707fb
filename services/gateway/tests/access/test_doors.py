"""No route of the gateway can be reached by somebody who may not, and a new one cannot be forgotten."""

from __future__ import annotations

import httpx2
import pytest
from fastapi import APIRouter, Depends
from fastapi.routing import APIRoute
from starlette.requests import Request

from llm_manager.core.errors import PermissionRefused
from llm_manager.gateway import health
from llm_manager.gateway.access.rules import ROLES, Permission, Role, Subject
from llm_manager.gateway.app import create_app, refuse_open_doors
from llm_manager.gateway.apps import endpoints as apps
from llm_manager.gateway.audit import endpoints as audit
from llm_manager.gateway.http.exchange import Exchange, attach
from llm_manager.gateway.ingress.routing import LeanRoute
from llm_manager.gateway.keys import endpoints as keys
from llm_manager.gateway.providers import endpoints as providers
from llm_manager.gateway.usage import endpoints as usage
from llm_manager.gateway.users.endpoints import DOOR, Requires, permissions_of
from llm_manager.gateway.users.service import AdminDoor

ADMIN_ROUTES = [
    route
    for feature in (apps, audit, keys, providers, usage)
    for route in feature.router.routes
    if isinstance(route, APIRoute)
]


class DoorOf(AdminDoor):
    """Lets everybody in with one role."""

    def __init__(self, role: Role) -> None:
        self._role = role

    async def enter(self, authorization: str | None, *, address: str, request_id: str) -> Subject:
        return Subject("user", "u1", "ann", ROLES[self._role], address=address, request_id=request_id)


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


@pytest.mark.parametrize("role", Role)
async def test_each_role_is_let_in_exactly_where_it_holds_the_permission(role: Role) -> None:
    app = create_app()
    DOOR.put(app, DoorOf(role))
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
    DOOR.put(app, DoorOf(Role.DEVELOPER))
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
