"""Hot routes are answered past the framework, and nobody can tell."""

from __future__ import annotations

import httpx2
import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute
from prometheus_client import REGISTRY
from starlette.requests import Request
from starlette.responses import Response

from llm_manager.core.errors import InvalidRequest
from llm_manager.gateway.app import GatewayApp, create_app
from llm_manager.gateway.http.edge import Drain
from llm_manager.gateway.ingress.front import Front
from llm_manager.gateway.ingress.routers import ROUTERS
from llm_manager.gateway.ingress.routing import LeanRoute

PAGE = "https://app.example.com"
router = APIRouter(prefix="/v2/echo", route_class=LeanRoute)


class _ChoosyRoute(APIRoute):
    """Like those that look at a header to know their clients."""


@router.post("")
async def echo(request: Request) -> Response:
    """Answer, refuse or crash as the body wants it."""
    body = await request.body()
    if body == b"refuse":
        raise InvalidRequest("The echo does not want that.", param="echo")
    if body == b"crash":
        raise RuntimeError(PAGE)
    return Response(body, headers={"x-app": type(request.app).__name__, "x-ip": str(request.client)})


def _app(*, is_hot: bool, drain: Drain | None = None) -> GatewayApp:
    app = create_app(drain, cors_origins=(PAGE,))
    app.include_router(router)
    app.front = Front(router.routes if is_hot else ())
    return app


async def _ask(app: GatewayApp, method: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client:
        answer = await client.request(method, "/v2/echo", content=body, headers={"x-request-id": "mine", **headers})
        return answer.status_code, answer.content, dict(answer.headers)


def _counted(status: int) -> float:
    labels = {"http_request_method": "POST", "http_route": "/v2/echo", "http_response_status_code": str(status)}
    return REGISTRY.get_sample_value("llm_manager_http_requests_total", labels) or 0.0


@pytest.mark.parametrize("headers", [{}, {"origin": PAGE}, {"origin": "https://other.example.com"}])
@pytest.mark.parametrize(
    ("method", "body", "status"),
    [
        ("POST", b"hello", 200),
        ("POST", b"", 200),
        ("POST", b"refuse", 400),
        ("POST", b"crash", 500),
        ("GET", b"", 405),
        ("HEAD", b"", 405),
        ("OPTIONS", b"", 405),
    ],
)
async def test_both_ways_answer_alike(method: str, body: bytes, status: int, headers: dict[str, str]) -> None:
    before = _counted(status)
    hot = await _ask(_app(is_hot=True), method, body, headers)
    assert hot == await _ask(_app(is_hot=False), method, body, headers)
    assert hot[0] == status
    assert hot[2]["x-request-id"] == "mine"
    if method == "POST":
        assert _counted(status) == before + 2


async def test_a_gateway_that_drains_refuses_hot_requests_too() -> None:
    drain = Drain()
    drain.begin()
    hot = await _ask(_app(is_hot=True, drain=drain), "POST", b"hello", {})
    assert hot == await _ask(_app(is_hot=False, drain=drain), "POST", b"hello", {})
    assert hot[0] == 503
    assert drain.in_flight == 0


def test_every_model_call_with_one_address_is_hot_and_nothing_else_is() -> None:
    front = Front(route for router in ROUTERS for route in router.routes)

    def is_hot(path: str, method: str = "POST", kind: str = "http") -> bool:
        return front.route_of({"type": kind, "method": method, "path": path}) is not None

    calls = ("chat/completions", "embeddings", "completions", "rerank", "messages", "responses")
    assert all(is_hot(f"/v1/{call}") for call in calls)
    assert is_hot("/v2/chat")
    assert not any(is_hot(path) for path in ("/v1/models", "/v1/chat/completions/", "/api/v1/keys", "/healthz"))
    assert not is_hot("/v1beta/models/{model}:generateContent")
    assert not is_hot("/v1/chat/completions", "GET")
    assert not is_hot("/v1/responses", kind="websocket")


def test_a_route_that_chooses_its_clients_is_left_to_the_framework() -> None:
    choosy = APIRouter(route_class=_ChoosyRoute)
    choosy.post("/v2/echo")(echo)
    asked = {"type": "http", "method": "POST", "path": "/v2/echo"}
    assert Front(choosy.routes).route_of(asked) is None
    assert Front((*choosy.routes, *router.routes)).route_of(asked) is None
    assert Front(router.routes).route_of(asked) is not None
