"""The master key of a running product is changed under load, and again after its keys were left half way."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from pathlib import Path

import httpx2
from http_servers import asked, serving, whole

from llm_manager.kit.secrets import key_id_of
from llm_manager.testing.stack import Stack, running_stack

KEY = "sk-canary-0123456789-rotated"
ANSWER = json.dumps(
    {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "small",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
).encode()
BODY = {"model": "mine/small", "messages": [{"role": "user", "content": "Hi"}]}


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer whoever shows the key, and nobody else."""
    while request := await asked(reader):
        is_right = f"authorization: bearer {KEY}".encode() in request.lower()
        writer.write(whole(ANSWER) if is_right else b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()


async def _call(stack: Stack, bearer: str, stop: asyncio.Event, statuses: list[int]) -> None:
    headers = {"authorization": f"Bearer {bearer}"}
    async with httpx2.AsyncClient(base_url=stack.base_url, headers=headers, timeout=20) as client:
        while not stop.is_set():
            statuses.append((await client.post("/chat/completions", json=BODY)).status_code)
            await asyncio.sleep(0.01)


def _ids(file: Path) -> list[str]:
    return [key_id_of(base64.urlsafe_b64decode(line)) for line in file.read_text().split()]


async def _said(stack: Stack, *arguments: str) -> str:
    done = await asyncio.to_thread(stack.run, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_calls_go_on_while_the_master_key_is_changed_and_after_a_start_with_the_new_one(tmp_path: Path) -> None:
    stop, statuses = asyncio.Event(), list[int]()
    async with serving(_answer, seconds=120) as upstream:
        with running_stack(tmp_path, environment={}) as stack:
            provider = {"name": "mine", "kind": "custom", "base_url": f"{upstream.url}/v1", "api_key": KEY}
            async with httpx2.AsyncClient(base_url=f"{stack.origin}/api/v1", auth=stack.admin, timeout=30) as admin:
                assert (await admin.post("/providers", json=provider)).status_code == 201
                made = (await admin.post("/keys", json={"name": "k", "app": "default"})).json()["api_key"]
            file = tmp_path / "secrets" / "master-key"
            [first] = _ids(file)
            async with asyncio.TaskGroup() as callers:
                for bearer in (made, stack.api_key):
                    callers.create_task(_call(stack, bearer, stop, statuses))
                told = json.loads(await _said(stack, "secrets", "rotate", "--json"))
                [second] = _ids(file)
                # what a rotation leaves that was killed after it had made the key
                third = base64.urlsafe_b64encode(os.urandom(32)).decode()
                file.write_text(f"{third}\n{file.read_text()}")
                again = json.loads(await _said(stack, "secrets", "rotate", "--json"))
                await asyncio.sleep(0.2)
                stop.set()
            assert told == {"active_key_id": second, "resealed": 5, "left_under_older_keys": 0}
            assert again == {"active_key_id": _ids(file)[0], "resealed": 5, "left_under_older_keys": 0}
            assert len({first, second, *_ids(file)}) == 3
            assert oct(file.stat().st_mode)[-3:] == "600"
            assert [line.split() for line in (await _said(stack, "secrets", "show")).splitlines()[1:]][:1] == [
                [_ids(file)[0], "seals", "5"]
            ]
            entries = json.loads(await _said(stack, "audit", "list", "--resource", "secrets", "--json"))["data"]
            assert [entry["after"]["active_key_id"] for entry in entries] == [_ids(file)[0], second]
        with running_stack(tmp_path, environment={}) as stack:
            stop.set()
            async with httpx2.AsyncClient(base_url=stack.base_url, timeout=20) as client:
                for bearer in (made, stack.api_key):
                    headers = {"authorization": f"Bearer {bearer}"}
                    statuses.append((await client.post("/chat/completions", json=BODY, headers=headers)).status_code)
    assert set(statuses) == {200}
    assert len(statuses) > 20
