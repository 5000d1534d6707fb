"""The route of model calls."""

from __future__ import annotations

import pytest
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from told_gateway import FakeGateway

from llm_manager.gateway.ingress.routing import LeanRoute

router = APIRouter(prefix="/v1", route_class=LeanRoute)


@router.post("/things/{name:path}")
async def make(request: Request) -> Response:
    return Response(b"%s %s" % (str(request.path_params["name"]).encode(), await request.body()))


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway(router)


async def test_the_endpoint_gets_the_request_as_it_is(gateway: FakeGateway) -> None:
    answer = await gateway.ask("/v1/things/a/b", b"no JSON at all")
    assert (answer.status, answer.body) == (200, b"a/b no JSON at all")


async def test_a_wrong_method_and_a_wrong_address_are_refused_in_the_usual_shape(gateway: FakeGateway) -> None:
    wrong = await gateway.ask("/v1/things/a")
    assert (wrong.status, wrong.json["error"]["code"]) == (405, "method_not_allowed")
    missing = await gateway.ask("/v1/other", {})
    assert (missing.status, missing.json["error"]["code"]) == (404, "unknown_url")
