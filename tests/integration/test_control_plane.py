"""What a person does with a running product: a provider and its key, a test, a model, an app, and the next call."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import pytest

from llm_manager.testing.stack import Stack, running_stack

Json = dict[str, Any]
# path, headers by lower-case names, body
Seen = tuple[str, dict[str, str], Json | None]
KEY = "sk-canary-0123456789-abcd"
OPENAI = {"object": "list", "data": [{"id": "small", "object": "model", "created": 7, "owned_by": "us"}]}
OLLAMA = {"models": [{"name": "small", "model": "small", "size": 1}]}
PLAIN = ["small"]
ANSWER: Json = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1,
    "model": "small",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}

CHUNK: Json = {
    **{name: ANSWER[name] for name in ("id", "created", "model", "usage")},
    "object": "chat.completion.chunk",
    "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
}
STREAM = f"data: {json.dumps(CHUNK)}\n\ndata: [DONE]\n\n"


@dataclass
class Upstream:
    """A server that a person would add; it keeps what it was asked."""

    models: object = field(default_factory=lambda: OPENAI)
    status: int = 200
    seconds: float = 0.0
    seen: list[tuple[str, dict[str, str], Json | None]] = field(
        default_factory=list[tuple[str, dict[str, str], Json | None]]
    )
    base_url: str = ""

    def handler(self) -> type[BaseHTTPRequestHandler]:
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer(upstream.models, None)

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                self._answer(ANSWER, body)

            def _answer(self, said: object, asked: Json | None) -> None:
                upstream.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}, asked))
                time.sleep(upstream.seconds)
                quoted = {"error": {"message": f"no: {self.headers['authorization']}"}}
                data = json.dumps(said if upstream.status == 200 else quoted).encode()
                is_stream = asked is not None and asked.get("stream") is True
                data = STREAM.encode() if is_stream else data
                self.send_response(upstream.status)
                self.send_header("content-type", "text/event-stream" if is_stream else "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # the name of the base class
                """Say nothing."""

        return Handler


@contextmanager
def serving(upstream: Upstream) -> Generator[Upstream]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), upstream.handler())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    upstream.base_url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield upstream
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def upstream() -> Generator[Upstream]:
    with serving(Upstream()) as served:
        yield served


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Generator[Stack]:
    with running_stack(tmp_path_factory.mktemp("plane"), environment={}) as running:
        yield running


@pytest.fixture
def admin(stack: Stack) -> Generator[httpx2.Client]:
    with httpx2.Client(base_url=f"{stack.origin}/api/v1", auth=stack.admin, timeout=30) as client:
        yield client


def made(admin: httpx2.Client, path: str, **said: object) -> Json:
    answer = admin.post(path, json=said)
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.mark.requirement("S7", "S8")
def test_a_provider_is_added_tested_named_and_obeyed_while_the_platform_runs(
    stack: Stack, admin: httpx2.Client, upstream: Upstream
) -> None:
    said = {"api_key": KEY, "headers": {"X-Team": "search"}, "paths": {"chat": "/own/chat"}, "timeouts": {"total": 30}}
    made(admin, "/providers", name="mine", kind="custom", base_url=upstream.base_url, **said)
    tested = admin.post("/providers/mine/test").json()
    assert (tested["result"], tested["status"], tested["models"], tested["method"]) == ("works", 200, 1, "GET")
    assert tested["url"] == f"{upstream.base_url}/models"
    offered = admin.get("/providers/mine/models").json()["data"]
    assert offered == [{"id": "small", "owned_by": "us", "created": 7}]
    parameters = {"temperature": 0.25}
    made(admin, "/configurations", name="fast", provider="mine", upstream_model="small", default_parameters=parameters)
    made(admin, "/apps", name="shop", allowed_models=["fast"])
    key = made(admin, "/keys", name="k", app="shop")["api_key"]
    made(admin, "/overrides", name="o", app="shop", parameters={"top_p": 0.5})
    with httpx2.Client(base_url=stack.base_url, headers={"authorization": f"Bearer {key}"}, timeout=30) as shop:
        body = {"model": "fast", "messages": [{"role": "user", "content": "Hi"}]}
        assert shop.post("/chat/completions", json=body).status_code == 200
        path, headers, asked = upstream.seen[-1]
        assert (path, headers["authorization"], headers["x-team"]) == ("/v1/own/chat", f"Bearer {KEY}", "search")
        assert asked is not None
        assert (asked["model"], asked["temperature"], asked["top_p"]) == ("small", 0.25, 0.5)
        assert shop.post("/chat/completions", json={**body, "model": "mine/small"}).status_code == 403
        # reset to what the kind has
        admin.patch("/providers/mine", json={"paths": None, "headers": None})
        assert shop.post("/chat/completions", json=body).status_code == 200
        assert (upstream.seen[-1][0], "x-team" in upstream.seen[-1][1]) == ("/v1/chat/completions", False)
        admin.patch("/providers/mine", json={"timeouts": {"total": 0.5}})
        upstream.seconds = 2
        late = shop.post("/chat/completions", json=body)
        assert (late.status_code, "limit total" in late.text) == (504, True)


def test_a_path_of_chats_is_that_of_streams_too_unless_those_have_their_own(
    stack: Stack, admin: httpx2.Client, upstream: Upstream
) -> None:
    made(admin, "/providers", name="moved", kind="custom", base_url=upstream.base_url, paths={"chat": "/own/chat"})
    body = {"model": "moved/small", "messages": [{"role": "user", "content": "Hi"}]}
    changes: list[tuple[Json | None, list[str]]] = [
        ({"chat": "/own/chat"}, ["/v1/own/chat", "/v1/own/chat"]),
        ({"chat": "/own/chat", "chat_stream": "/own/stream"}, ["/v1/own/chat", "/v1/own/stream"]),
        ({"chat_stream": "/own/stream"}, ["/v1/chat/completions", "/v1/own/stream"]),
        (None, ["/v1/chat/completions", "/v1/chat/completions"]),
    ]
    with httpx2.Client(
        base_url=stack.base_url, headers={"authorization": f"Bearer {stack.api_key}"}, timeout=30
    ) as client:
        for paths, asked_at in changes:
            assert admin.patch("/providers/moved", json={"paths": paths}).is_success
            for is_stream in (False, True):
                answer = client.post("/chat/completions", json={**body, "stream": is_stream})
                assert (answer.status_code, "Hello" in answer.text) == (200, True), answer.text
            assert [path for path, _, asked in upstream.seen if asked is not None][-2:] == asked_at


@pytest.mark.requirement("S11")
def test_a_connection_works_is_refused_fails_or_reaches_nobody(admin: httpx2.Client, upstream: Upstream) -> None:
    made(admin, "/providers", name="tested", kind="custom", base_url=upstream.base_url, api_key=KEY)

    def tested() -> Json:
        answer = admin.post("/providers/tested/test")
        assert answer.status_code == 200, answer.text
        assert KEY not in answer.text
        return answer.json()

    works = tested()
    assert (works["result"], works["bytes"]) == ("works", len(json.dumps(OPENAI)))
    assert works["headers_ms"] <= works["total_ms"] < 9_000
    assert "small" in works["preview"]
    for status in (401, 403):
        upstream.status = status
        refused = tested()
        assert (refused["result"], refused["status"], refused["models"]) == ("refused", status, None)
        assert "unauthorised" in refused["message"]
        # the server quotes the key back
        assert "[credential]" in refused["preview"]
    upstream.status = 404
    assert tested()["result"] == "failed"
    upstream.status = 500
    assert (tested()["result"], tested()["status"]) == ("failed", 500)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        admin.patch("/providers/tested", json={"base_url": address, "api_key": KEY})
        began = time.monotonic()
        dead = tested()
        assert (dead["result"], dead["status"]) == ("unreachable", None)
        assert time.monotonic() - began < 10
    assert tested()["result"] == "unreachable"
    assert admin.post("/providers/nobody/test").status_code == 404
    assert admin.post("/providers/tested/test", params={"key": "none"}).status_code == 404


@pytest.mark.requirement("P-14")
def test_a_link_local_address_is_never_asked(admin: httpx2.Client) -> None:
    made(admin, "/providers", name="metadata", kind="custom", base_url="http://169.254.169.254/latest", api_key=KEY)
    tested = admin.post("/providers/metadata/test").json()
    assert (tested["result"], "private address" in tested["message"]) == ("unreachable", True)


@pytest.mark.requirement("S12")
def test_three_forms_of_lists_are_read_and_remembered_until_somebody_asks_anew(
    admin: httpx2.Client, upstream: Upstream
) -> None:
    made(admin, "/providers", name="listing", kind="custom", base_url=upstream.base_url)
    for models in (OPENAI, OLLAMA, PLAIN, {"models": PLAIN}):
        upstream.models = models
        listed = admin.get("/providers/listing/models", params={"refresh": True}).json()["data"]
        assert [model["id"] for model in listed] == ["small"]
    asked = len(upstream.seen)
    upstream.models = {"data": [{"id": "large"}]}
    assert [model["id"] for model in admin.get("/providers/listing/models").json()["data"]] == ["small"]
    assert len(upstream.seen) == asked
    fresh = admin.get("/providers/listing/models", params={"refresh": True}).json()["data"]
    assert [model["id"] for model in fresh] == ["large"]
    upstream.models = "nonsense"
    broken = admin.get("/providers/listing/models", params={"refresh": True})
    assert (broken.status_code, broken.json()["error"]["code"]) == (502, "upstream_protocol_error")
