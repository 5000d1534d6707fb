"""Wrong addresses and methods, on the application as it is served."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import httpx2
import pytest
from fastapi import FastAPI

from llm_manager.gateway.app import create_app


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return create_app()


@pytest.fixture
async def http(app: FastAPI) -> AsyncGenerator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path", "meant"),
    [
        ("POST", "/chat/completions", "/v1/chat/completions"),
        ("POST", "/embeddings", "/v1/embeddings"),
        ("POST", "/responses", "/v1/responses"),
        ("GET", "/models", "/v1/models"),
        ("POST", "/messages", "/v1/messages"),
        ("POST", "/v1/v1/chat/completions", "/v1/chat/completions"),
        ("POST", "/openai/v1/v1/embeddings", "/openai/v1/embeddings"),
        ("POST", "/v1/chat/completions/", "/v1/chat/completions"),
        ("POST", "/chat/completions/", "/v1/chat/completions"),
    ],
)
async def test_a_wrong_base_url_is_told_the_right_address(
    method: str, path: str, meant: str, http: httpx2.AsyncClient
) -> None:
    answer = await http.request(method, path)
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert error["code"] == "unknown_url"
    assert f"Did you mean {meant}?" in error["message"]
    assert ("base URL of OpenAI's clients ends in /v1" in error["message"]) == (not path.startswith(("/v1", "/openai")))


async def test_an_address_without_a_likeness_names_only_what_exists(http: httpx2.AsyncClient) -> None:
    message = (await http.get("/nothing")).json()["error"]["message"]
    named = {word.rstrip(",;.") for word in message.split() if word.startswith("/")} - {"/nothing"}
    assert named == {"/v1/models", "/openapi.json"}
    assert {(await http.put(path)).headers["allow"] for path in named} == {"GET, HEAD"}


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/chat/completions", "POST"),
        ("DELETE", "/v1/models", "GET, HEAD"),
        ("PUT", "/api/v1/keys", "GET, HEAD, POST"),
        ("PUT", "/v1/responses/resp_1", "GET, HEAD, DELETE"),
        ("OPTIONS", "/v1/chat/completions", "POST"),
        ("HEAD", "/v1/chat/completions", "POST"),
    ],
)
async def test_a_wrong_method_is_told_the_right_ones(
    method: str, path: str, allowed: str, http: httpx2.AsyncClient
) -> None:
    answer = await http.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


async def test_head_is_answered_as_get(http: httpx2.AsyncClient) -> None:
    head, get = await http.head("/healthz"), await http.get("/healthz")
    assert (head.status_code, head.headers["content-length"]) == (200, get.headers["content-length"])
