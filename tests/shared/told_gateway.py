"""A gateway with real routes, admission and accounting, whose workers are told what to answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self, cast

from fastapi import APIRouter, FastAPI
from starlette.types import Message, Scope

from llm_manager.core.errors import LlmManagerError
from llm_manager.core.facts import Dialect, load_facts
from llm_manager.core.ids import hash_api_key, new_api_key
from llm_manager.gateway.catalogue.discovery import ModelDirectory
from llm_manager.gateway.catalogue.records import (
    AnyRecord,
    AppRecord,
    ConfigurationRecord,
    KeyRecord,
    ProviderProfile,
    ProviderRecord,
)
from llm_manager.gateway.catalogue.rules import Snapshot
from llm_manager.gateway.catalogue.service import Catalogue
from llm_manager.gateway.http import errors
from llm_manager.gateway.http.edge import Drain, Edge
from llm_manager.gateway.http.error_shapes import ErrorRule
from llm_manager.gateway.inference.client import WorkerClient
from llm_manager.gateway.inference.events import InferenceEvents, LostAttempt, LostAttempts
from llm_manager.gateway.inference.rules import Call, Outcome, Piece
from llm_manager.gateway.inference.service import Inference
from llm_manager.gateway.keys.rules import KnownCallers
from llm_manager.gateway.parts import PARTS, Limits, Parts

# Any: bodies are JSON of any shape
Json = dict[str, Any]
REQUEST_ID = "req-1"
_PEPPER = b"pepper"
_KEY = new_api_key()
PROVIDERS = ("openai", "gemini", "cohere", "ollama", "anthropic")
CREATED = 1_700_000_000


def _speaking(name: str, dialect: Dialect) -> ProviderRecord:
    """A server that was found out to speak a dialect, so that tests do not hang on what the facts say of any kind."""
    found = datetime(2026, 11, 24, tzinfo=UTC)
    profile = ProviderProfile(base_url="", dialects=(dialect,), capabilities={}, probed_at=found)
    return ProviderRecord(id=name, revision=1, name=name, kind="openai", profile=profile)


CATALOGUE: Sequence[AnyRecord] = (
    AppRecord(id="app", revision=1, name="App"),
    KeyRecord(id=_KEY.id, revision=1, app_id="app", name="key", hash=hash_api_key(_KEY.token, pepper=_PEPPER)),
    *(ProviderRecord(id=kind, revision=1, name=kind, kind=kind) for kind in PROVIDERS),
    _speaking("claude", "anthropic_messages"),
    _speaking("texts", "openai_completions"),
    ConfigurationRecord(id="c", revision=1, name="fast", provider="openai", upstream_model="gpt", created=CREATED),
)
API_KEY = _KEY.token


@dataclass(frozen=True, slots=True)
class Told:
    """What the worker answers: pieces, then the outcome, or an error instead of the outcome."""

    pieces: Sequence[Piece] = ()
    outcome: Outcome = field(default_factory=Outcome)
    error: LlmManagerError | None = None


class _Answer:
    worker_id = "worker"
    ending = None
    done = b""

    def __init__(self, told: Told, silence: asyncio.Event | None, on_cancelled: Callable[[], None]) -> None:
        self._told = told
        self._waiting = list(told.pieces)
        self._silence = silence
        self._on_cancelled = on_cancelled

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is asyncio.CancelledError:
            self._on_cancelled()

    async def pieces(self) -> list[Piece]:
        if self._waiting:
            return [self._waiting.pop(0)]
        if self._silence is not None:
            await self._silence.wait()
        if self._told.error is not None:
            raise self._told.error
        return []

    def outcome(self) -> Outcome:
        return self._told.outcome


class FakeWorkers:
    """Answers every attempt with what it is told; `silence`, while it is set, comes between pieces and end."""

    def __init__(self) -> None:
        self.told = Told()
        self.calls: list[Call] = []
        self.cancelled: list[Call] = []
        self.silence: asyncio.Event | None = None

    def attempt(self, call: Call, *, attempt_id: str, number: int) -> _Answer:
        assert attempt_id
        assert number == 1
        self.calls.append(call)
        return _Answer(self.told, self.silence, lambda: self.cancelled.append(call))


class _Events:
    def __init__(self) -> None:
        self.ended: list[str] = []

    def started(self, call: Call, *, attempt_id: str, at: float) -> None:
        assert at
        assert call.request_id

    def completed(self, call: Call, *, at: float, error_code: str, attempts: int, duration_ms: int) -> None:
        assert at
        assert attempts == 1
        assert duration_ms >= 0
        assert call.request_id
        self.ended.append(error_code)


class _Lost:
    def __init__(self) -> None:
        self.attempts: list[LostAttempt] = []

    def record(self, attempt: LostAttempt) -> None:
        self.attempts.append(attempt)


@dataclass(frozen=True, slots=True)
class _Catalogue:
    snapshot: Snapshot
    is_current: bool = True


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What the client got. `headers` with lower-case names; `chunks` as they were sent."""

    status: int
    headers: Mapping[str, str]
    chunks: Sequence[bytes]

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class FakeGateway:
    """Serves routers in this process. What it asked its workers is in `workers.calls`."""

    def __init__(self, *routers: APIRouter, rules: Sequence[ErrorRule] = (), heartbeat_seconds: float = 15.0) -> None:
        self.workers = FakeWorkers()
        self.events = _Events()
        self.lost = _Lost()
        facts = load_facts()
        catalogue = _Catalogue(Snapshot.of(CATALOGUE, is_complete=True))
        client = cast("WorkerClient", self.workers)
        parts = Parts(
            catalogue=cast("Catalogue", catalogue),
            inference=Inference(
                client, cast("InferenceEvents", self.events), cast("LostAttempts", self.lost), facts=facts.get
            ),
            models=ModelDirectory(cast("Catalogue", catalogue), client, facts=facts.get),
            limits=Limits(max_body_bytes=100_000, heartbeat_seconds=heartbeat_seconds, request_timeout_seconds=600),
            known_callers=KnownCallers(pepper=_PEPPER),
        )
        self.app = FastAPI(redirect_slashes=False)
        errors.install(self.app)
        self.app.add_middleware(Edge, drain=Drain(), rules=rules)
        for router in routers:
            self.app.include_router(router)
        PARTS.put(self.app, parts)

    async def ask(
        self,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        leaves: asyncio.Event | None = None,
        reads: Callable[[bytes], Awaitable[object]] | None = None,
    ) -> HttpAnswer:
        """Send a request with a good key and return its answer.

        Args:
            body: JSON, or bytes as they are; None asks with GET.
            headers: beside or instead of the usual ones.
            leaves: the client goes away when it is set.
            reads: called with every chunk of the answer before it is taken.
        """
        sent = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        said = {
            "authorization": f"Bearer {API_KEY}",
            "content-type": "application/json",
            "content-length": str(len(sent)),
            "x-request-id": REQUEST_ID,
            **(headers or {}),
        }
        plain, _, query = path.partition("?")
        scope: Scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET" if body is None else "POST",
            "path": plain,
            "raw_path": plain.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "scheme": "http",
            "headers": [(name.encode(), value.encode()) for name, value in said.items() if value],
        }
        sending: list[Message] = [{"type": "http.request", "body": sent, "more_body": False}]
        got: list[Message] = []

        async def receive() -> Message:
            if sending:
                return sending.pop()
            await (leaves or asyncio.Event()).wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if reads is not None and message["type"] == "http.response.body":
                await reads(message["body"])
            got.append(message)

        await self.app(scope, receive, send)
        if not got:
            return HttpAnswer(0, {}, ())
        start, *rest = got
        answered = {name.decode(): value.decode() for name, value in start["headers"]}
        return HttpAnswer(start["status"], answered, [message["body"] for message in rest])
