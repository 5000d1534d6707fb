"""Browsers: pages of allowed origins may call and read, others may not."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import httpx2
import pytest
from fastapi import FastAPI

from llm_manager.gateway.app import create_app
from llm_manager.gateway.http.cors import WrongOrigin, parse_origins

PAGE = "https://app.example.com"
CHAT = "/v1/chat/completions"
# what openai-js 6 asks for with dangerouslyAllowBrowser
SDK_HEADERS = "authorization,content-type,x-stainless-arch,x-stainless-lang,x-stainless-os,x-stainless-retry-count"
PREFLIGHT = {"access-control-request-method": "POST", "access-control-request-headers": SDK_HEADERS}

WRONG_FORMS = ("*", "https://*.example.com", "app.example.com", f"{PAGE}/", f"{PAGE}/x", "https://App.example.com")


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return create_app(cors_origins=(PAGE, "http://localhost:5173"))


@pytest.fixture
async def http(app: FastAPI) -> AsyncGenerator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client


def _of_cors(answer: httpx2.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


@pytest.mark.parametrize("origin", [PAGE, "http://localhost:5173"])
async def test_a_preflight_of_an_allowed_page_needs_no_key(origin: str, http: httpx2.AsyncClient) -> None:
    answer = await http.options(CHAT, headers={"origin": origin, **PREFLIGHT})
    assert (answer.status_code, answer.content, answer.headers["vary"]) == (204, b"", "origin")
    assert _of_cors(answer) == {
        "access-control-allow-origin": origin,
        "access-control-allow-methods": "GET, HEAD, POST, PUT, PATCH, DELETE",
        "access-control-allow-headers": SDK_HEADERS,
        "access-control-max-age": "7200",
    }


async def test_a_page_on_the_internet_may_reach_a_gateway_at_home_when_it_is_allowed(http: httpx2.AsyncClient) -> None:
    headers = {"origin": PAGE, "access-control-request-private-network": "true", **PREFLIGHT}
    answer = await http.options(CHAT, headers=headers)
    assert answer.headers["access-control-allow-private-network"] == "true"


async def test_an_allowed_page_can_read_errors_and_their_headers(http: httpx2.AsyncClient) -> None:
    answer = await http.get("/nothing", headers={"origin": PAGE})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (404, PAGE)
    assert "x-request-id" in answer.headers["access-control-expose-headers"].split(", ")
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "https://app.example.com.evil.example", "http://app.example.com", f"{PAGE}:8443", "null"],
)
async def test_other_pages_get_no_leave(origin: str, http: httpx2.AsyncClient) -> None:
    preflight = await http.options(CHAT, headers={"origin": origin, **PREFLIGHT})
    answer = await http.get("/healthz", headers={"origin": origin})
    assert (preflight.status_code, answer.status_code) == (405, 200)
    assert _of_cors(preflight) == _of_cors(answer) == {}


async def test_without_a_setting_no_page_gets_leave() -> None:
    transport = httpx2.ASGITransport(app=create_app())
    async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client:
        answer = await client.options(CHAT, headers={"origin": PAGE, **PREFLIGHT})
    assert (answer.status_code, _of_cors(answer)) == (405, {})


def test_origins_are_separated_by_commas() -> None:
    assert parse_origins(f" {PAGE}, http://localhost:5173,") == (PAGE, "http://localhost:5173")
    assert parse_origins("") == ()


@pytest.mark.parametrize("text", [*WRONG_FORMS, "null", f"{PAGE}:443", "http://a:80", "https://u@a", "https://a:x"])
def test_what_no_browser_sends_is_refused(text: str) -> None:
    with pytest.raises(WrongOrigin):
        parse_origins(text)
