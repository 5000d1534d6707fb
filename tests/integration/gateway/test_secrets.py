"""Master keys are rotated while gateways serve, and nothing that was made before stops working."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from llm_manager.gateway.access.rules import Subject
from llm_manager.gateway.audit.store import AuditStore
from llm_manager.gateway.bootstrap import MIGRATIONS
from llm_manager.gateway.catalogue.store import sealed, set_sealed_keys
from llm_manager.gateway.ingress.responses.store import SEALED, ResponseStore
from llm_manager.gateway.ingress.responses.turn import Turn
from llm_manager.gateway.secrets.service import SecretRotation
from llm_manager.gateway.tables import Provider
from llm_manager.kit.bus.names import CREDENTIAL_AAD, HEADERS_AAD
from llm_manager.kit.secrets import SecretBox, key_id_of
from llm_manager.kit.settings import SettingsError
from llm_manager.kit.sql import open_database
from llm_manager.kit.sql_migrations import migrate
from llm_manager.testing.answering_worker import AnsweringWorker, answering, chunk, done, finish, native, text
from llm_manager.testing.master_key import (
    MASTER_KEY,
    MASTER_KEY_TEXT,
    OTHER_MASTER_KEY,
    OTHER_MASTER_KEY_TEXT,
)

pytest_plugins = ["llm_manager.testing.postgresql"]
ADMIN = ("admin", "seven wet umbrellas in May")
BOTH = f"{OTHER_MASTER_KEY_TEXT} {MASTER_KEY_TEXT}"
OLD, NEW = key_id_of(MASTER_KEY), key_id_of(OTHER_MASTER_KEY)
MESSAGE = {"role": "assistant", "content": "Hello"}
CHAT = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": MESSAGE}],
}
PROVIDER = {
    "name": "mine",
    "kind": "custom",
    "base_url": "http://127.0.0.1:9/v1",
    "api_key": "sk-one",
    "headers": {"x-token": "sk-two"},
}


@asynccontextmanager
async def admin_of(served: Any) -> AsyncGenerator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=served.url, auth=ADMIN, timeout=20) as client:
        yield client


async def _counts(admin: httpx2.AsyncClient) -> dict[str, tuple[bool, bool, int]]:
    rows = (await admin.get("/api/v1/secrets")).json()["data"]
    return {row["id"]: (row["is_active"], row["is_known"], row["envelopes"]) for row in rows}


class Made:
    """What was made under the first master key, and has to work for ever."""

    async def make(self, served: Any, admin: httpx2.AsyncClient, worker: AnsweringWorker) -> None:
        """Make a provider, a key, a session and a stored response."""
        assert (await admin.post("/api/v1/providers", json=PROVIDER)).status_code == 201
        made = await admin.post("/api/v1/keys", json={"app": "default", "name": "later"})
        self.bearer = {"authorization": f"Bearer {made.json()['api_key']}"}
        worker.script = answering(chunk(text("Hello"), finish()), end=done())
        async with httpx2.AsyncClient(base_url=served.url, headers=self.bearer) as client:
            self.response = (await client.post("/v1/responses", json={"model": "echo", "input": "Hi"})).json()
        async with httpx2.AsyncClient(base_url=served.url) as client:
            said = {"name": ADMIN[0], "password": ADMIN[1]}
            self.cookie = (await client.post("/api/v1/session", json=said)).headers["set-cookie"].partition(";")[0]

    async def check(self, served: Any, worker: AnsweringWorker, box: SecretBox) -> None:
        """Use all of it; `box` has to open what workers get."""
        worker.script = answering(native(CHAT))
        async with httpx2.AsyncClient(base_url=served.url, headers=self.bearer) as client:
            body = {"model": "mine/m", "messages": [{"role": "user", "content": "Hi"}]}
            assert (await client.post("/v1/chat/completions", json=body)).status_code == 200
            found = await client.get(f"/v1/responses/{self.response['id']}")
            assert found.json() == self.response
        async with httpx2.AsyncClient(base_url=served.url, headers={"cookie": self.cookie}) as client:
            assert (await client.get("/api/v1/session")).status_code == 200
        target = worker.requests[-1].target
        assert box.open(target.credential, aad=CREDENTIAL_AAD) == b"sk-one"
        assert json.loads(box.open(target.sealed_headers, aad=HEADERS_AAD)) == {"x-token": "sk-two"}


async def test_everything_works_before_during_and_after_a_rotation(
    start: Any, near_worker: AnsweringWorker, url: str
) -> None:
    made, old, new = Made(), SecretBox(MASTER_KEY), SecretBox(OTHER_MASTER_KEY)
    async with start(environ={}, database_url=url) as served, admin_of(served) as admin:
        await made.make(served, admin, near_worker)
        # four that hashes are keyed by, a credential, headers, two sides of a response
        assert await _counts(admin) == {OLD: (True, True, 8)}

    async with (
        start(environ={}, database_url=url, master_key=BOTH) as served,
        start(environ={}, database_url=url, master_key=BOTH) as other,
        admin_of(served) as admin,
    ):
        await made.check(served, near_worker, old)
        assert await _counts(admin) == {NEW: (True, True, 0), OLD: (False, True, 8)}
        answer = (await admin.post("/api/v1/secrets/rotate")).json()
        assert (answer["resealed"], answer["is_done"], answer["unreadable"]) == (8, True, [])
        assert [row["envelopes"] for row in answer["data"]] == [8, 0]
        await made.check(served, near_worker, new)
        async with asyncio.timeout(1):
            while _sealed_under(other) != NEW:  # noqa: ASYNC110 # over the bus there is no event
                await asyncio.sleep(0.01)
        await made.check(other, near_worker, new)
        again = (await admin.post("/api/v1/secrets/rotate")).json()
        assert (again["resealed"], again["is_done"]) == (0, True)
        entries = (await admin.get("/api/v1/audit", params={"resource": "secrets"})).json()["data"]
        assert [entry["after"] for entry in entries] == [{"active_key_id": NEW}]

    async with (
        start(environ={}, database_url=url, master_key=OTHER_MASTER_KEY_TEXT) as served,
        admin_of(served) as admin,
    ):
        await made.check(served, near_worker, new)
        assert await _counts(admin) == {NEW: (True, True, 8)}

    with pytest.raises(SettingsError, match=f"does not open this database .*{NEW}"):
        async with start(environ={}, database_url=url):
            pass


def _sealed_under(served: Any) -> str:
    record = served.gateway.parts.catalogue.snapshot.providers["mine"]
    return record.credentials[0][1:9].hex()


async def test_the_key_of_before_may_be_forgotten_only_when_nothing_is_under_it(start: Any, tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'gateway.db'}"
    async with start(environ={}) as served, admin_of(served) as admin:
        await admin.post("/api/v1/providers", json=PROVIDER)
    lost = SecretBox(bytes(range(32)))
    async with open_database(url) as database, database.session() as session:
        row = Provider(name="lost", kind="custom", base_url="http://127.0.0.1:9")
        set_sealed_keys(row, [sealed(lost, "a", "sk-lost"), sealed(SecretBox(MASTER_KEY), "b", "sk-found")])
        session.add(row)
        await session.flush()
        lost_id = row.id
    async with start(environ={}, master_key=BOTH) as served, admin_of(served) as admin:
        answer = (await admin.post("/api/v1/secrets/rotate")).json()
        assert (answer["resealed"], answer["unreadable"], answer["is_done"]) == (7, [f"providers/{lost_id}"], True)
        assert await _counts(admin) == {
            NEW: (True, True, 7),
            OLD: (False, True, 0),
            lost.active_key_id: (False, False, 1),
        }


async def test_a_call_ends_in_time_and_the_next_one_goes_on_and_loses_nothing(url: str) -> None:
    await migrate(url, MIGRATIONS)
    box = SecretBox(OTHER_MASTER_KEY, older_keys=[MASTER_KEY])
    now = datetime.now(UTC)
    turns = [
        Turn(
            id=f"resp_{i:02}", app_id="a", previous_id="", model="m", provider="p", is_upstream=False,
            created_at=now, expires_at=now + timedelta(hours=1), input=b"in %d" % i, response=b"out %d" % i,
        )
        for i in range(35)
    ]  # fmt: skip
    async with open_database(url) as database:
        for turn in turns:
            await ResponseStore(database, SecretBox(MASTER_KEY)).save(turn)
        rotation = SecretRotation(
            database, box, Nobody(), tables=(SEALED,), trail=AuditStore(database), longest_seconds=0.0
        )
        somebody = Subject("user", "u", "ann", frozenset())
        done_after: list[tuple[int, bool]] = []
        while not done_after or not done_after[-1][1]:
            rotated = await rotation.rotate(somebody)
            done_after.append((rotated.resealed, rotated.is_done))
            # whatever was reached: what is stored opens, and a gateway may end here
            found = await ResponseStore(database, box).get("a", "resp_00", now=now)
            assert found is not None
            assert found.input == b"in 0"
            assert len(done_after) < 10
        assert [count for count, _ in done_after] == [20, 20, 20, 10, 0]
        only_new = ResponseStore(database, SecretBox(OTHER_MASTER_KEY))
        assert [await only_new.get("a", turn.id, now=now) for turn in turns] == turns


class Nobody:
    """Follows nothing."""

    async def refresh(self) -> None:
        """Do nothing: these tests have no gateway."""


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_it_takes_the_permission_of_providers(start: Any, method: str) -> None:
    path = "/api/v1/secrets" + ("/rotate" if method == "POST" else "")
    async with start() as served, admin_of(served) as admin:
        dev = ("dev", "a long enough sentence")
        body = {"name": dev[0], "password": dev[1], "roles": ["developer"]}
        assert (await admin.post("/api/v1/users", json=body)).status_code == 201
        async with httpx2.AsyncClient(base_url=served.url, auth=dev) as client:
            refused = await client.request(method, path)
    assert refused.status_code == 403
    assert "llm-manager:providers:manage" in refused.text
