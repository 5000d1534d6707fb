"""Parameters of configurations and overrides over HTTP and gRPC: the next call obeys, and the log says what holds."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import grpc.aio
import httpx2
import pytest

from llm_manager.contracts.inference.v1 import chat_pb2, infer_pb2, inference_service_pb2, inference_service_pb2_grpc
from llm_manager.core.ids import uuid7
from llm_manager.testing.answering_worker import AnsweringWorker

ADMIN = ("admin", "seven wet umbrellas in May")
PATH = "/api/v1/overrides"
Json = dict[str, Any]


@pytest.fixture
async def admin(served: Any) -> AsyncGenerator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=served.url, auth=ADMIN) as client:
        yield client


@dataclass
class Shop:
    """An app with a key and a model of its own, and what its calls were sent with."""

    name: str
    key: str
    admin: httpx2.AsyncClient
    served: Any
    worker: AnsweringWorker

    async def override(self, **said: Any) -> Json:
        """Make an override of the app's."""
        body = {"name": uuid7(), "app": self.name, **said}
        made = await self.admin.post(PATH, json=body)
        assert made.status_code == 201, made.text
        assert {name: made.json()[name] for name in body} == body
        return made.json()

    async def sent(self, model: str = "", *, context: str = "", **said: Any) -> Json:
        """Ask, and return the sampling that the worker got."""
        headers = {"authorization": f"Bearer {self.key}", **({"x-llm-manager-context": context} if context else {})}
        body = {"model": model or self.name, "messages": [{"role": "user", "content": "Hi"}], **said}
        async with httpx2.AsyncClient(base_url=self.served.url, headers=headers, timeout=10) as client:
            answer = await client.post("/v1/chat/completions", json=body)
            assert answer.status_code == 200, answer.text
        return self.last()

    def last(self) -> Json:
        """Return the sampling of the last call."""
        request: infer_pb2.InferRequest = self.worker.requests[-1]
        return {field.name: value for field, value in request.chat.sampling.ListFields()}


@pytest.fixture
async def shop(admin: httpx2.AsyncClient, served: Any, worker: AnsweringWorker) -> Shop:
    name = f"shop-{uuid7()}"
    await admin.post("/api/v1/apps", json={"name": name})
    key = (await admin.post("/api/v1/keys", json={"name": "k", "app": name})).json()["api_key"]
    said = {"temperature": 0.25, "max_tokens": 100}
    model = {"name": name, "provider": "echo", "upstream_model": "echo", "default_parameters": said}
    assert (await admin.post("/api/v1/configurations", json=model)).status_code == 201
    return Shop(name, key, admin, served, worker)


@pytest.mark.requirement("S50")
async def test_defaults_then_overrides_by_priority_then_the_call(shop: Shop) -> None:
    assert await shop.sent() == {"temperature": 0.25, "max_tokens": 100}
    assert await shop.sent(temperature=1) == {"temperature": 1, "max_tokens": 100}
    late = await shop.override(parameters={"top_p": 0.5, "temperature": 0.75}, priority=5)
    await shop.override(parameters={"top_p": 0.25, "seed": 7}, priority=1)
    assert await shop.sent() == {"temperature": 0.75, "max_tokens": 100, "top_p": 0.5, "seed": 7}
    replacing = await shop.override(parameters={"seed": 9}, strategy="replace", priority=9)
    assert await shop.sent(max_completion_tokens=5) == {"seed": 9, "max_tokens": 5}
    await shop.admin.patch(f"{PATH}/{replacing['id']}", json={"is_enabled": False})
    await shop.admin.patch(f"{PATH}/{late['id']}", json={"priority": 0})
    assert await shop.sent() == {"temperature": 0.75, "max_tokens": 100, "top_p": 0.25, "seed": 7}
    await shop.admin.delete(f"{PATH}/{late['id']}")
    assert await shop.sent() == {"temperature": 0.25, "max_tokens": 100, "top_p": 0.25, "seed": 7}
    assert (await shop.admin.get(f"{PATH}/{late['id']}")).status_code == 404


async def test_one_configuration_or_the_whole_app_and_a_context(shop: Shop) -> None:
    await shop.override(parameters={"seed": 1}, configuration=shop.name)
    await shop.override(parameters={"top_p": 0.5})
    await shop.override(parameters={"top_k": 3}, context="review", priority=1)
    assert await shop.sent("echo/echo") == {"top_p": 0.5}
    assert await shop.sent() == {"temperature": 0.25, "max_tokens": 100, "top_p": 0.5, "seed": 1}
    assert await shop.sent("echo/echo", context="review") == {"top_p": 0.5, "top_k": 3}
    assert await shop.sent("echo/echo", context="another") == {"top_p": 0.5}
    listed = (await shop.admin.get(PATH, params={"app": shop.name})).json()["data"]
    assert sorted((row["configuration"] or "", row["context"]) for row in listed) == [
        ("", ""),
        ("", "review"),
        (shop.name, ""),
    ]
    in_use = await shop.admin.delete(f"/api/v1/configurations/{shop.name}")
    assert in_use.status_code == 409


@pytest.mark.requirement("S51")
async def test_streams_other_dialects_and_grpc_get_them_and_the_log_says_what_holds(
    shop: Shop, log_lines: io.StringIO
) -> None:
    await shop.override(parameters={"top_p": 0.5})
    holds = {"temperature": 0.25, "max_tokens": 100, "top_p": 0.5}
    before = len(log_lines.getvalue())
    assert await shop.sent(stream=True) == holds
    lines = [json.loads(line) for line in log_lines.getvalue()[before:].splitlines()]
    [told] = [line["parameters"] for line in lines if line["event"] == "request_answered" and "parameters" in line]
    assert told == holds
    headers = {"authorization": f"Bearer {shop.key}"}
    async with httpx2.AsyncClient(base_url=shop.served.url, headers=headers, timeout=10) as client:
        said = {"model": shop.name, "max_tokens": 7, "messages": [{"role": "user", "content": "Hi"}]}
        assert (await client.post("/v1/messages", json=said)).status_code == 200
        assert shop.last() == {**holds, "max_tokens": 7}
        contents = {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
        answer = await client.post(f"/v1beta/models/{shop.name}:generateContent", json=contents)
        assert answer.status_code == 200, answer.text
        assert shop.last() == holds
        short = {"configuration": shop.name, "prompt": "Hi", "parameters": {"temperature": 1}}
        assert (await client.post("/api/v1/generate", json=short)).status_code == 200
        assert shop.last() == {**holds, "temperature": 1}
    async with grpc.aio.insecure_channel(shop.served.grpc_address) as channel:
        stub = inference_service_pb2_grpc.InferenceServiceStub(channel)
        parts = [chat_pb2.Part(text="Hi")]
        chat = chat_pb2.ChatInput(messages=[chat_pb2.Message(role=chat_pb2.ROLE_USER, parts=parts)])
        request = inference_service_pb2.ChatRequest(model=shop.name, input=chat)
        await stub.Chat(request, metadata=[("authorization", headers["authorization"])])
        assert shop.last() == holds


@pytest.mark.requirement("S52")
async def test_what_is_out_of_its_range_is_refused_where_it_is_set_and_where_it_is_asked(shop: Shop) -> None:
    wrong: list[tuple[str, Json, str]] = [
        (PATH, {"name": "x", "app": shop.name, "parameters": {"temperature": 3}}, "parameters.temperature"),
        (PATH, {"name": "x", "app": shop.name, "parameters": {"n": "two"}}, "parameters.n"),
        (PATH, {"name": "x", "app": shop.name, "parameters": {"messages": []}}, "parameters.messages"),
        (PATH, {"name": "x", "app": "nobody", "parameters": {}}, "app"),
        (PATH, {"name": "x", "app": shop.name, "parameters": {}, "strategy": "guess"}, "strategy"),
        (f"/api/v1/configurations/{shop.name}", {"default_parameters": {"top_p": 2}}, "default_parameters.top_p"),
    ]
    for path, body, param in wrong:
        method = "PATCH" if shop.name in path else "POST"
        answer = await shop.admin.request(method, path, json=body)
        assert (answer.is_client_error, answer.json()["error"]["param"]) == (True, param), answer.text
    headers = {"authorization": f"Bearer {shop.key}"}
    async with httpx2.AsyncClient(base_url=shop.served.url, headers=headers) as client:
        said = {"configuration": shop.name, "prompt": "Hi", "parameters": {"temperature": 3}}
        refused = await client.post("/api/v1/generate", json=said)
    assert (refused.status_code, refused.json()["error"]["param"]) == (422, "parameters.temperature")
