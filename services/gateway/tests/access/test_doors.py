"""No route of the gateway can be reached by somebody who may not, and a new one cannot be forgotten."""

from __future__ import annotations

import pytest
from fastapi import APIRouter, Depends

from llm_manager.gateway import health
from llm_manager.gateway.access.rules import Permission
from llm_manager.gateway.app import create_app, refuse_open_doors
from llm_manager.gateway.ingress.routing import LeanRoute
from llm_manager.gateway.users.endpoints import Requires


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
