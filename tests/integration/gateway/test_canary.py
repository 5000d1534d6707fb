"""Secrets are put everywhere where one can go, rightly and wrongly, and then looked for in everything that is kept."""

from __future__ import annotations

import asyncio
import base64
import io
import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from llm_manager.core.ids import new_api_key
from llm_manager.gateway.access.rules import COOKIE
from llm_manager.kit import telemetry
from llm_manager.kit.bus import kv
from llm_manager.kit.bus.connection import Bus, connect
from llm_manager.kit.bus.names import BUCKET_CLAIMS, BUCKET_CONFIG
from llm_manager.testing.answering_worker import answering, answering_worker, native
from llm_manager.testing.master_key import MASTER_KEY_TEXT
from llm_manager.testing.nats import NatsServer
from llm_manager.testing.otlp import OtlpCollector, otlp_collector

ADMIN_PASSWORD = "canary-admin-password-5b1e"
GIVEN = {
    "OPENAI_API_KEY": "sk-canary-environment-77aa01",
    "CUSTOM_BASE_URL": "http://somebody:canary-userinfo-90ab@127.0.0.1:9/v1?key=canary-query-31cd",
}
PROVIDER_KEY, FURTHER_KEY = "sk-canary-provider-4f0001", "sk-canary-further-4f0002"
SECRET_HEADER, PLAIN_HEADER = "canary-header-secret-4f03", "canary-header-plain-4f04"
PASSWORD, NEXT_PASSWORD = "canary password of Ann 4f05", "canary password of Ann 4f06"
PROMPT, REFUSED = "canary-prompt-4f07", "canary-in-a-refused-body-4f08"
WRONG = (400, 422)
RESOURCES = ("apps", "configurations", "aliases", "overrides", "keys", "providers", "users", "packages")
ANSWER = {
    "id": "c1", "object": "chat.completion", "created": 1, "model": "gpt-x",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
}  # fmt: skip
Json = dict[str, Any]


@dataclass
class Sinks:
    """Where a secret could end up, and the secrets; `url` is that of the bus."""

    folder: Path
    url: str
    bus: Bus
    collector: OtlpCollector
    log: io.StringIO
    began: int
    secrets: dict[str, str] = field(default_factory=dict)
    # what a caller got who did not send it there, by what was asked
    answers: list[tuple[str, str]] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)

    def found_in(self, haystack: bytes | str) -> list[str]:
        """Names of the secrets that are in a sink, as they are or in the usual disguises."""
        raw = haystack if isinstance(haystack, bytes) else haystack.encode()
        return [
            name
            for name, secret in self.secrets.items()
            if any(form in raw for form in {secret.encode(), quote(secret).encode(), secret.encode().hex().encode()})
        ]

    def on_disk(self) -> bytes:
        """The database and its write-ahead log."""
        return b"".join(path.read_bytes() for path in sorted(self.folder.glob("gateway.db*")))


class Caller:
    """Asks and keeps the answers, but for an echo: there the caller itself wrote the secret where none belongs."""

    def __init__(self, sinks: Sinks, client: httpx2.AsyncClient) -> None:
        self._sinks, self._client = sinks, client

    async def ask(self, method: str, path: str, *, is_echo: bool = False, **said: Any) -> httpx2.Response:
        answer = await self._client.request(method, path, **said)
        assert answer.status_code < 500, answer.text
        if not is_echo:
            self._sinks.answers.append((f"{method} {path}", f"{answer.headers.raw!r} {answer.text}"))
        return answer


@pytest.fixture
def collector() -> Iterator[OtlpCollector]:
    with otlp_collector() as running:
        telemetry.setup("gateway", otlp_endpoint=running.endpoint)
        yield running


@pytest.fixture
async def sinks(tmp_path: Path, collector: OtlpCollector, log_lines: io.StringIO) -> AsyncGenerator[Sinks]:
    with NatsServer() as server:
        async with connect(server.url, name="listener") as bus:
            sinks = Sinks(tmp_path, server.url, bus, collector, log_lines, log_lines.tell())

            async def heard(message: Any) -> None:
                sinks.messages.append(f"{message.subject} {message.headers} ".encode() + message.data)

            await bus.subscribe(">", heard)
            yield sinks
    await telemetry.shutdown()


@asynccontextmanager
async def served(start: Any, sinks: Sinks) -> AsyncGenerator[tuple[Any, Caller]]:
    """A gateway on the bus that is listened to, and its admin."""
    key = new_api_key().token
    sinks.secrets |= {
        **GIVEN_SECRETS,
        "the first key": key,
        "master key": MASTER_KEY_TEXT,
        "admin's password": ADMIN_PASSWORD,
        "admin's header": basic("admin", ADMIN_PASSWORD).partition(" ")[2],
    }
    changed = {"nats_url": sinks.url, "bootstrap_api_key": key, "admin_password": ADMIN_PASSWORD}
    async with (
        answering_worker(sinks.bus, ("echo", "openai")) as worker,
        start(environ=GIVEN, **changed) as gateway,
        httpx2.AsyncClient(base_url=gateway.url, auth=("admin", ADMIN_PASSWORD), timeout=30) as client,
    ):
        worker.script = answering(native(ANSWER))
        yield gateway, Caller(sinks, client)


GIVEN_SECRETS = {
    "key of the environment": GIVEN["OPENAI_API_KEY"],
    "password in a base URL": "canary-userinfo-90ab",
    "login of a base URL as a header": base64.b64encode(b"somebody:canary-userinfo-90ab").decode(),
    "query of a base URL": "canary-query-31cd",
}


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


async def put_where_they_belong(sinks: Sinks, admin: Caller) -> None:
    """Make a provider, a person, a session and keys."""
    said: Json = {
        "name": "canary",
        "kind": "openai",
        "base_url": "http://127.0.0.1:9/v1",
        "api_key": PROVIDER_KEY,
        "headers": {"x-api-key": SECRET_HEADER, "x-team": PLAIN_HEADER},
    }
    assert (await admin.ask("POST", "/api/v1/providers", json=said, is_echo=True)).status_code == 201
    further = {"name": "second", "api_key": FURTHER_KEY}
    # the header is called like no secret, so it is shown, but it is sealed like the others
    assert (await admin.ask("POST", "/api/v1/providers/canary/keys", json=further, is_echo=True)).is_success
    person = {"name": "ann", "password": PASSWORD, "roles": ["super-admin"]}
    assert (await admin.ask("POST", "/api/v1/users", json=person)).status_code == 201
    assert (await admin.ask("PATCH", "/api/v1/users/ann", json={"password": NEXT_PASSWORD})).is_success
    sinks.secrets |= {
        "provider's key": PROVIDER_KEY,
        "provider's further key": FURTHER_KEY,
        "provider's secret header": SECRET_HEADER,
        "provider's plain header": PLAIN_HEADER,
        "password": PASSWORD,
        "next password": NEXT_PASSWORD,
    }
    entered = await admin.ask("POST", "/api/v1/session", json={"name": "ann", "password": NEXT_PASSWORD}, is_echo=True)
    assert NEXT_PASSWORD not in entered.text
    sinks.secrets["session"] = entered.headers["set-cookie"].partition(";")[0].partition("=")[2]
    sinks.secrets["CSRF token"] = entered.json()["csrf_token"]
    made = await admin.ask("POST", "/api/v1/keys", json={"name": "one"}, is_echo=True)
    rotated = await admin.ask("POST", f"/api/v1/keys/{made.json()['id']}/rotate", is_echo=True)
    sinks.secrets |= {"key": made.json()["api_key"], "rotated key": rotated.json()["api_key"]}


async def use(sinks: Sinks, gateway: Any, caller: Caller) -> None:
    """Call a model with each key, and change something with the session."""
    for key in (gateway.api_key if gateway.api_key in sinks.secrets.values() else "", *keys_of(sinks)):
        said = {"model": "canary/gpt-x", "messages": [{"role": "user", "content": PROMPT}]}
        if key:
            bearer = {"authorization": f"Bearer {key}"}
            answer = await caller.ask("POST", "/v1/chat/completions", json=said, headers=bearer)
            assert answer.status_code == 200, answer.text
    sinks.secrets["prompt"] = PROMPT
    session = {"cookie": f"{COOKIE}={sinks.secrets['session']}", "x-csrf-token": sinks.secrets["CSRF token"]}
    assert (await caller.ask("GET", "/api/v1/users", headers=session)).is_success
    made = await caller.ask("POST", "/api/v1/apps", json={"name": "by ann"}, headers=session)
    assert made.status_code == 201
    for path in ("packages/export", "packages", "secrets"):
        assert (await caller.ask("GET", f"/api/v1/{path}", headers=session)).is_success
    assert (await caller.ask("POST", "/api/v1/secrets/rotate", headers=session)).is_success


def keys_of(sinks: Sinks) -> list[str]:
    return [secret for name, secret in sinks.secrets.items() if name.endswith("key") and secret.startswith("lm_live_")]


async def put_where_they_do_not_belong(sinks: Sinks, admin: Caller, stranger: Caller) -> None:
    """Send every secret as what it is not, in requests that are refused."""
    for secret in dict.fromkeys(sinks.secrets.values()):
        for resource in RESOURCES:
            there = f"/api/v1/{resource}/{quote(secret, safe='')}"
            assert (await admin.ask("GET", there, is_echo=True)).status_code == 404
            refused = {"name": secret, "nonsense": secret}
            assert (await admin.ask("POST", f"/api/v1/{resource}", json=refused, is_echo=True)).status_code in WRONG
            unknown = {secret: secret}
            assert (await admin.ask("PATCH", there, json=unknown, is_echo=True)).status_code in {*WRONG, 404, 405}
            await admin.ask("GET", f"/api/v1/{resource}", params={"search": secret, "sort": secret}, is_echo=True)
        bearer = {"authorization": f"Bearer {sinks.secrets['the first key']}"}
        said = {"model": secret, "messages": [{"role": "user", "content": "Hi"}]}
        assert (await admin.ask("POST", "/v1/chat/completions", json=said, headers=bearer, is_echo=True)).is_error
    sinks.secrets["refused body"] = REFUSED
    for path, body in (
        ("users", {"name": "x", "password": [REFUSED]}),
        ("users", {"name": "x", "password": REFUSED, "roles": ["nobody"]}),
        ("providers", {"name": "x", "kind": "openai", "api_key": [REFUSED]}),
        ("providers", {"name": "x", "kind": "nothing", "api_key": REFUSED, "headers": {"x-key": REFUSED}}),
        ("providers", {"name": "x", "kind": "openai", "api_key": f"{REFUSED}\u00fc"}),
        ("providers", {"name": "x", "kind": "openai", "headers": {"x-key": f"{REFUSED}\n"}}),
        ("providers", {"name": "x", "kind": "openai", "base_url": f"http://u:{REFUSED}@host/v1"}),
        ("session", {"name": "ann", "password": {"is": REFUSED}}),
        ("packages", {"manifest": {"name": "x"}, "providers": [{"name": "x", "kind": "openai", "api_key": REFUSED}]}),
    ):
        assert (await admin.ask("POST", f"/api/v1/{path}", json=body)).status_code in WRONG, body
    kind = {"content-type": "application/json"}
    broken = f'{{"name": "x", "password": "{REFUSED}", '
    for path in ("users", "providers", "session"):
        assert (await admin.ask("POST", f"/api/v1/{path}", content=broken, headers=kind)).status_code in WRONG
    await fail_to_log_in(sinks, stranger)


async def fail_to_log_in(sinks: Sinks, stranger: Caller) -> None:
    # these first: after some failures log-ins of an address are refused unread for a while
    seen: list[int] = []
    for name, password in (("ann", PASSWORD), (PROVIDER_KEY, "x"), ("nobody", REFUSED), (NEXT_PASSWORD, "ann")):
        refused = await stranger.ask("GET", "/api/v1/users", headers={"authorization": basic(name, password)})
        seen.append(refused.status_code)
    for name, password in (("ann", PASSWORD), (NEXT_PASSWORD, "x")):
        refused = await stranger.ask("POST", "/api/v1/session", json={"name": name, "password": password})
        seen.append(refused.status_code)
    assert (seen[:3], set(seen)) == ([401] * 3, {401, 429})
    for secret in dict.fromkeys(sinks.secrets.values()):
        for header in (f"Bearer {secret}", secret, f"Basic {secret}", f"Bearer {secret[:-1]}X"):
            await stranger.ask("GET", "/api/v1/users", headers={"authorization": header})
            await stranger.ask("GET", "/v1/models", headers={"authorization": header})
        await stranger.ask("GET", "/api/v1/users", headers={"cookie": f"{COOKIE}={quote(secret)}"})


@pytest.mark.requirement("L-34", "S5", "S207")
async def test_no_secret_is_found_in_anything_that_is_kept_or_answered(start: Any, sinks: Sinks) -> None:
    async with served(start, sinks) as (gateway, admin), httpx2.AsyncClient(base_url=gateway.url, timeout=30) as plain:
        stranger = Caller(sinks, plain)
        await put_where_they_belong(sinks, admin)
        await use(sinks, gateway, stranger)
        await put_where_they_do_not_belong(sinks, admin, stranger)
        for path in ("audit", "audit/export", *RESOURCES):
            # a provider's header that is called like no secret is shown, and nothing of it anywhere else
            await admin.ask("GET", f"/api/v1/{path}?limit=500", is_echo=path == "providers")
        shown = (await admin.ask("GET", "/api/v1/providers", is_echo=True)).text
        # of keys their ends
        assert {"…0001", "…0002"} <= set(re.findall("…[0-9a-z]{4}", shown))
        assert sinks.found_in(shown) == ["provider's plain header"]
        trail = next(text for what, text in sinks.answers if what.startswith("GET /api/v1/audit/export"))
        while_open, values = sinks.on_disk(), await values_on_the_bus(sinks.bus)
    await telemetry.shutdown()
    places: dict[str, bytes | str] = {
        "log": sinks.log.getvalue()[sinks.began :],
        "audit": trail,
        "database": while_open,
        "database after the end": sinks.on_disk(),
        "values on the bus": values,
        "messages": b"\n".join(sinks.messages),
        "traces": b"\n".join(sinks.collector.bodies),
        **{f"answer to {what}": text for what, text in sinks.answers},
    }
    # each place holds what it should, so that looking there means something
    for place, word in {
        "log": "request_answered", "audit": "canary", "database": "by ann", "values on the bus": "canary",
        "messages": "by ann", "traces": "/api/v1/users/{user}",
    }.items():  # fmt: skip
        said = places[place]
        assert word in (said if isinstance(said, str) else said.decode(errors="replace")), place
    found = {place: names for place, said in places.items() if (names := sinks.found_in(said))}
    # the prompt is what workers are there for
    assert found == {"messages": ["prompt"]}


async def values_on_the_bus(bus: Bus) -> bytes:
    told: dict[str, bytes | None] = {}
    for bucket in (BUCKET_CONFIG, BUCKET_CLAIMS):
        try:
            async with asyncio.timeout(5), kv.watch(bus, bucket, told.__setitem__):
                pass
        except TimeoutError:
            continue
    return b"\n".join(f"{key} ".encode() + (value or b"") for key, value in told.items())
