"""Calls of the client library over a real gateway: clients and branches of calls never see each other's words."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from llm_manager.client import AsyncClient, ChatAnswer, Client, NotFound, Unavailable, Usage
from llm_manager.contracts.inference.v1 import chat_pb2, infer_pb2
from llm_manager.core.errors import UpstreamTimeout
from llm_manager.core.ids import uuid7
from llm_manager.kit.bus.responder import FrameSink
from llm_manager.testing.answering_worker import AnsweringWorker, answering, chunk, done, failing, finish, hanging, text

ADMIN = ("admin", "seven wet umbrellas in May")
CALLS = 50
# so many are worded before one of them is sent: what they shared would be seen, however fast each is
AT_ONCE = 10
INFO = chat_pb2.AnswerInfo(id="i1", model="m-2026", created=5)
# 1,234.567890123456 USD: more digits than a float holds
PRICED = done(cost_picousd=1_234_567_890_123_456)


@dataclass(frozen=True)
class Tenant:
    """An app with a key, a model, and an override for one context; `number` is in everything that it says."""

    number: int
    name: str
    key: str

    def said(self, call: int) -> dict[str, Any]:
        """Return what the worker must get of a call."""
        return {
            "model": self.name,
            "user": self.name,
            "temperature": self.number / 2,
            "seed": self.number * 1000 + call,
            # the gateway adds it, for the context of this tenant only
            "top_k": self.number * 10,
            "texts": [f"system of {self.name}", f"prompt {call} of {self.name}"],
        }


@pytest.fixture
async def tenants(served: Any) -> list[Tenant]:
    made: list[Tenant] = []
    async with httpx2.AsyncClient(base_url=served.url, auth=ADMIN) as admin:
        for number in (1, 2):
            name = f"tenant-{number}-{uuid7()}"
            await admin.post("/api/v1/apps", json={"name": name})
            key = (await admin.post("/api/v1/keys", json={"name": "k", "app": name})).json()["api_key"]
            model = {"name": name, "provider": "echo", "upstream_model": "echo", "app": name}
            assert (await admin.post("/api/v1/configurations", json=model)).status_code == 201
            override = {"name": name, "app": name, "context": name, "parameters": {"top_k": number * 10}}
            assert (await admin.post("/api/v1/overrides", json=override)).status_code == 201
            made.append(Tenant(number, name, key))
    return made


def got(request: infer_pb2.InferRequest) -> dict[str, Any]:
    """Return what the worker got of a call, in the form of `Tenant.said`."""
    sampling = request.chat.sampling
    return {
        "model": request.attribution.requested_model,
        "user": request.attribution.end_user,
        "temperature": sampling.temperature,
        "seed": sampling.seed,
        "top_k": sampling.top_k,
        "texts": [part.text for message in request.chat.messages for part in message.parts],
    }


async def repeating(request: infer_pb2.InferRequest, sink: FrameSink) -> bytes:
    """Answer with the seed, in an order that nobody knows."""
    await asyncio.sleep(random.uniform(0, 0.01))
    await sink.send(chunk(text(str(request.chat.sampling.seed)), finish(), info=INFO))
    return PRICED


def worded(call: Any, tenant: Tenant, number: int) -> Any:
    """Say everything that a tenant says, word by word."""
    call = call.with_model(tenant.name).with_parameters(temperature=tenant.number / 2)
    call = call.with_system(f"system of {tenant.name}").with_context(tenant.name)
    return call.with_user(tenant.name).with_parameters(seed=tenant.number * 1000 + number)


def check(tenants: list[Tenant], worker: AnsweringWorker, answers: list[tuple[Tenant, int, ChatAnswer]]) -> None:
    """Check that every call arrived once with its own words only, and got its own answer."""
    expected = [str(tenant.said(call)) for tenant in tenants for call in range(CALLS)]
    assert Counter(str(got(request)) for request in worker.requests) == Counter(expected)
    apps = {(request.attribution.app_id, request.attribution.requested_model) for request in worker.requests}
    assert len(apps) == len(tenants)
    for tenant, call, answer in answers:
        assert answer.text == str(tenant.said(call)["seed"])
    assert len({answer.request_id for *_, answer in answers}) == len(expected)


@pytest.mark.requirement("S35")
async def test_clients_in_threads_never_see_each_others_words(
    served: Any, tenants: list[Tenant], worker: AnsweringWorker
) -> None:
    worker.script = repeating
    clients = {tenant: Client(served.url, api_key=tenant.key) for tenant in tenants}
    barrier = threading.Barrier(AT_ONCE)

    def ask(tenant: Tenant, call: int) -> tuple[Tenant, int, ChatAnswer]:
        asked = worded(clients[tenant].chat(f"prompt {call} of {tenant.name}"), tenant, call)
        barrier.wait(10)
        return tenant, call, asked.run()

    def all_of_them() -> list[tuple[Tenant, int, ChatAnswer]]:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            asked = [pool.submit(ask, tenant, call) for call in range(CALLS) for tenant in tenants]
            return [one.result() for one in asked]

    answers = await asyncio.to_thread(all_of_them)
    for client in clients.values():
        client.close()
    check(tenants, worker, answers)


@pytest.mark.requirement("S35")
async def test_clients_in_one_loop_never_see_each_others_words(
    served: Any, tenants: list[Tenant], worker: AnsweringWorker
) -> None:
    worker.script = repeating
    one, two = tenants
    async with (
        AsyncClient(served.url, api_key=one.key) as first,
        AsyncClient(served.url, api_key=two.key) as second,
    ):

        async def ask(tenant: Tenant, call: int) -> tuple[Tenant, int, ChatAnswer]:
            client = first if tenant is one else second
            asked = worded(client.chat(f"prompt {call} of {tenant.name}"), tenant, call)
            # all are worded before the first is sent
            await asyncio.sleep(0)
            if call % 2:
                return tenant, call, await asked.run()
            async with asked.stream() as pieces:
                async for _ in pieces:
                    await asyncio.sleep(0)
                return tenant, call, pieces.answer

        answers = await asyncio.gather(*(ask(tenant, call) for call in range(CALLS) for tenant in tenants))
    check(tenants, worker, answers)


@pytest.mark.requirement("S35")
async def test_a_call_that_threads_share_gives_each_branch_its_own_words(
    served: Any, tenants: list[Tenant], worker: AnsweringWorker
) -> None:
    worker.script = repeating
    tenant = tenants[0]
    with Client(served.url, api_key=tenant.key) as client:
        trunk = worded(client.chat(), tenant, -1)
        before, barrier = repr(trunk), threading.Barrier(AT_ONCE)

        def branch(call: int) -> tuple[Tenant, int, ChatAnswer]:
            grown = trunk.with_parameters(seed=1000 + call).with_messages(f"prompt {call} of {tenant.name}")
            barrier.wait(10)
            return tenant, call, grown.run()

        def all_of_them() -> list[tuple[Tenant, int, ChatAnswer]]:
            with ThreadPoolExecutor(AT_ONCE) as pool:
                return list(pool.map(branch, range(CALLS)))

        answers = await asyncio.to_thread(all_of_them)
        assert repr(trunk) == before
    check([tenant], worker, answers)


async def test_usage_and_exact_cost_are_read_whole_and_streamed(served: Any, worker: AnsweringWorker) -> None:
    worker.script = answering(chunk(text("Hel"), text("lo"), finish(), info=INFO), end=PRICED)
    async with AsyncClient(f"{served.url}/v1", api_key=served.api_key) as client:
        whole = await client.generate("Hi", model="echo")
        async with client.chat("Hi").with_model("echo").stream() as pieces:
            assert "".join([piece.text async for piece in pieces]) == "Hello"
        for answer in (whole, pieces.answer):
            assert (answer.text, answer.finish_reason, answer.provider, answer.model) == (
                "Hello",
                "stop",
                "echo",
                "m-2026",
            )
            assert (answer.usage, answer.cost) == (Usage(3, 2, 5), Decimal("1234.567890123456"))
        worker.script = answering(chunk(text("Hi"), finish(), info=INFO), end=done(cost_picousd=None))
        assert (await client.generate("Hi", model="echo")).cost is None
        async with client.chat("Hi").with_model("echo").stream() as pieces:
            assert [piece.text async for piece in pieces] == ["Hi"]
        assert pieces.answer.cost is None


async def test_vectors_are_read(served: Any, worker: AnsweringWorker) -> None:
    vectors = [chat_pb2.Embedding(values=[1, 2]), chat_pb2.Embedding(values=[3, 4.5])]
    worker.script = answering(infer_pb2.Chunk(embeddings=vectors).SerializeToString(), end=PRICED)
    async with AsyncClient(served.url, api_key=served.api_key) as client:
        embedded = await client.embed(["a", "b"]).with_model("ollama/e").with_parameters(dimensions=2).run()
    assert embedded.vectors == ((1.0, 2.0), (3.0, 4.5))
    assert embedded.cost == Decimal("1234.567890123456")
    assert list(worker.requests[-1].embeddings.texts) == ["a", "b"]
    assert worker.requests[-1].embeddings.dimensions == 2


async def test_refusals_and_broken_streams_are_errors_of_the_library(served: Any, worker: AnsweringWorker) -> None:
    worker.script = failing(UpstreamTimeout("Too slow."), chunk(text("Hel"), info=INFO))
    async with AsyncClient(served.url, api_key=served.api_key) as client:
        with pytest.raises(NotFound) as caught:
            await client.generate("Hi", model="nowhere/m")
        assert (caught.value.code, caught.value.status) == ("model_not_found", 404)
        assert caught.value.request_id
        async with client.chat("Hi").with_model("echo").stream() as pieces:
            assert (await anext(pieces)).text == "Hel"
            with pytest.raises(Unavailable, match=r"Too slow\.") as broken:
                await anext(pieces)
    assert (broken.value.code, broken.value.status) == ("upstream_timeout", None)


async def test_who_leaves_a_stream_stops_the_worker(served: Any, worker: AnsweringWorker) -> None:
    worker.script = hanging(chunk(text("Hel"), info=INFO))
    async with AsyncClient(served.url, api_key=served.api_key) as client:
        async with client.chat("Hi").with_model("echo").stream() as pieces:
            assert (await anext(pieces)).text == "Hel"
        await asyncio.wait_for(worker.cancellations.get(), 5)
        task = asyncio.create_task(client.generate("Hi", model="echo"))
        worker.is_asked.clear()
        await asyncio.wait_for(worker.is_asked.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(worker.cancellations.get(), 5)
