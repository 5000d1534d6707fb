"""The Responses API over a real gateway and a real database, read by the openai SDK with strict validation."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter
from sqlalchemy import text as sql

from llm_manager.contracts.inference.v1 import chat_pb2, infer_pb2
from llm_manager.contracts.usage.v1 import event_pb2
from llm_manager.core.errors import ProviderRateLimited, UpstreamTimeout
from llm_manager.kit.bus.connection import Bus
from llm_manager.kit.sql import open_database
from llm_manager.testing.answering_worker import (
    AnsweringWorker,
    answering,
    answering_worker,
    chunk,
    done,
    failing,
    finish,
    hanging,
    native,
    text,
)

EVENTS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
FACTS = """
kind = "{kind}"
title = "{kind}"
source = ["this test"]
checked_on = 2026-11-25
dialect = "{dialect}"
also = {also}
base_url = "http://127.0.0.1:9"
base_url_env = "TEST_BASE_URL"
needs_credential = false
operations = {operations}
capabilities = ["streaming", "tools"]
[finish_reasons]
stop = "stop"
"""
KINDS: dict[str, tuple[str, list[str], list[str]]] = {
    "chats": ("ollama_chat", [], ["chat"]),
    "counts": ("cohere_v2", [], ["chat", "count_tokens"]),
    "responds": ("openai_chat", ["openai_responses"], ["chat", "count_tokens"]),
}
USED = done(
    usage=event_pb2.Usage(input_uncached=10, cache_read=5, output_text=3, output_reasoning=4, requests=1),
    cost_picousd=123_450_000,
)
TALKING = answering(chunk(text("upon ")), chunk(text("a time"), finish()), end=USED)
UPSTREAM: dict[str, Any] = {
    "id": "resp_theirs",
    "object": "response",
    "created_at": 5,
    "model": "x-2026",
    "status": "completed",
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "store": True,
    "new": [1],
    "output": [
        {
            "id": "msg_theirs",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Hi", "annotations": []}],
        }
    ],
    "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2},
}


@dataclass(frozen=True)
class Place:
    http: httpx2.AsyncClient
    sdk: openai.AsyncOpenAI
    worker: AnsweringWorker
    database_url: str

    @property
    def asked(self) -> infer_pb2.InferRequest:
        return self.worker.requests[-1]

    @property
    def said(self) -> list[str]:
        return [part.text for message in self.asked.chat.messages for part in message.parts]

    async def execute(self, statement: str) -> Any:
        async with open_database(self.database_url) as database, database.session() as session:
            result: Any = await session.execute(sql(statement))
            return result.scalar() if result.returns_rows else None


@pytest.fixture
async def place(start: Any, bus: Bus, tmp_path: Path) -> AsyncGenerator[Place]:
    folder = tmp_path / "facts"
    folder.mkdir()
    for kind, (dialect, also, operations) in KINDS.items():
        facts = FACTS.format(kind=kind, dialect=dialect, also=json.dumps(also), operations=json.dumps(operations))
        (folder / f"{kind}.toml").write_text(facts)
    async with AsyncExitStack() as parts:
        environ = {"TEST_BASE_URL": "http://127.0.0.1:9"}
        served = await parts.enter_async_context(start(environ=environ, facts_dir=folder, heartbeat_seconds=0.05))
        sdk = openai.AsyncOpenAI(
            base_url=f"{served.url}/v1", api_key=served.api_key, max_retries=0, _strict_response_validation=True
        )
        yield Place(
            http=await parts.enter_async_context(
                httpx2.AsyncClient(base_url=served.url, headers=served.bearer, timeout=10)
            ),
            sdk=await parts.enter_async_context(sdk),
            worker=await parts.enter_async_context(answering_worker(bus, list(KINDS))),
            database_url=f"sqlite+aiosqlite:///{tmp_path}/gateway.db",
        )


def _events(body: str) -> list[dict[str, Any]]:
    events = [json.loads(line.removeprefix("data: ")) for line in body.splitlines() if line.startswith("data: ")]
    for event in events:
        EVENTS.validate_python(event)
    return events


@pytest.mark.requirement("B8", "B-16")
async def test_a_response_is_made_stored_and_read_byte_for_byte(place: Place) -> None:
    place.worker.script = TALKING
    made = await place.http.post("/v1/responses", json={"model": "chats/m", "input": "Once", "user": "ann"})
    first, second = [await place.http.get(f"/v1/responses/{made.json()['id']}") for _ in range(2)]
    assert made.content == first.content == second.content
    assert made.headers["x-llm-manager-cost"] == "0.00012345"
    assert place.asked.attribution.end_user == "ann"
    read = await place.sdk.responses.retrieve(made.json()["id"])
    assert (read.output_text, read.status) == ("upon a time", "completed")
    assert read.usage is not None
    assert read.usage.input_tokens_details.cache_write_tokens == 0
    assert (read.usage.input_tokens, read.usage.output_tokens) == (15, 7)


@pytest.mark.requirement("B8")
async def test_a_streamed_response_is_stored_before_its_last_event(place: Place) -> None:
    place.worker.script = TALKING
    stream = await place.sdk.responses.create(model="chats/m", input="Once", stream=True)
    events = [event async for event in stream]
    last = events[-1]
    assert last.type == "response.completed"
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert (await place.sdk.responses.retrieve(last.response.id)).output == last.response.output


async def test_a_stored_response_is_streamed_again_from_any_number(place: Place) -> None:
    place.worker.script = TALKING
    made = await place.sdk.responses.create(model="chats/m", input="Once")
    whole = [event async for event in await place.sdk.responses.retrieve(made.id, stream=True)]
    rest = [event async for event in await place.sdk.responses.retrieve(made.id, stream=True, starting_after=3)]
    assert rest == whole[4:]
    assert [event.sequence_number for event in whole] == list(range(len(whole)))
    refused = await place.http.get(f"/v1/responses/{made.id}?stream=true&starting_after=x")
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "starting_after")


async def test_a_conversation_goes_on_whoever_answers(place: Place) -> None:
    place.worker.script = TALKING
    first = await place.sdk.responses.create(model="chats/m", input="Once", instructions="Tell.")
    second = await place.sdk.responses.create(model="counts/m", input="More", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    # instructions are those of one request
    assert place.said == ["Once", "upon a time", "More"]
    await place.sdk.responses.create(model="chats/m", input="End", previous_response_id=second.id)
    assert place.said == ["Once", "upon a time", "More", "upon a time", "End"]
    item: Any = {"type": "item_reference", "id": first.output[0].id}
    await place.sdk.responses.create(model="chats/m", input=[item])
    assert place.said == ["upon a time"]


async def test_input_items_are_listed_page_by_page(place: Place) -> None:
    place.worker.script = TALKING
    first = await place.sdk.responses.create(model="chats/m", input="Once")
    second = await place.sdk.responses.create(model="chats/m", input="More", previous_response_id=first.id)
    items = [item async for item in place.sdk.responses.input_items.list(second.id, limit=1)]
    oldest_first = [item async for item in place.sdk.responses.input_items.list(second.id, limit=2, order="asc")]
    assert items == oldest_first[::-1]
    said: list[Any] = [item.to_dict() for item in oldest_first]
    assert [item["content"][0]["text"] for item in said] == ["Once", "upon a time", "More"]
    for query in ("limit=0", "limit=101", "order=up", "after=nothing"):
        refused = await place.http.get(f"/v1/responses/{second.id}/input_items?{query}")
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, query.partition("=")[0])


async def test_what_is_not_to_be_stored_is_nowhere(place: Place) -> None:
    place.worker.script = TALKING
    made = await place.sdk.responses.create(model="chats/m", input="Once", store=False)
    assert made.to_dict()["store"] is False
    assert await place.execute("SELECT count(*) FROM stored_responses") == 0
    with pytest.raises(openai.NotFoundError):
        await place.sdk.responses.retrieve(made.id)
    with pytest.raises(openai.NotFoundError) as caught:
        await place.sdk.responses.create(model="chats/m", input="More", previous_response_id=made.id)
    assert (caught.value.code, caught.value.param) == ("previous_response_not_found", "previous_response_id")


async def test_the_response_of_another_app_is_not_there(place: Place) -> None:
    place.worker.script = TALKING
    made = await place.sdk.responses.create(model="chats/m", input="Once")
    await place.execute("UPDATE stored_responses SET app_id = 'other'")
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/input_items"), ("POST", "/cancel")):
        answer = await place.http.request(method, f"/v1/responses/{made.id}{path}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert await place.execute("SELECT count(*) FROM stored_responses") == 1


async def test_what_is_deleted_is_gone_and_cannot_be_gone_on_from(place: Place) -> None:
    place.worker.script = TALKING
    made = await place.sdk.responses.create(model="chats/m", input="Once")
    deleted = await place.http.delete(f"/v1/responses/{made.id}")
    assert deleted.json() == {"id": made.id, "object": "response", "deleted": True}
    assert (await place.http.delete(f"/v1/responses/{made.id}")).status_code == 404
    with pytest.raises(openai.NotFoundError):
        await place.sdk.responses.create(model="chats/m", input="More", previous_response_id=made.id)


async def test_nothing_can_be_cancelled_because_nothing_runs_in_the_background(place: Place) -> None:
    place.worker.script = TALKING
    made = await place.sdk.responses.create(model="chats/m", input="Once")
    with pytest.raises(openai.BadRequestError, match="Nothing runs in the background"):
        await place.sdk.responses.cancel(made.id)


@pytest.mark.requirement("B-14")
@pytest.mark.parametrize("model", ["chats/m", "responds/m"])
@pytest.mark.parametrize(
    "asked", [{"background": True}, {"conversation": "conv_1"}], ids=["background", "conversation"]
)
async def test_what_is_not_done_here_is_refused_by_name(place: Place, model: str, asked: dict[str, Any]) -> None:
    answer = await place.http.post("/v1/responses", json={"model": model, "input": "Hi", **asked})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "unsupported_parameter", *asked)
    assert place.worker.requests == []


async def test_a_store_that_is_down_does_not_cost_the_answer(place: Place) -> None:
    await place.execute("ALTER TABLE stored_responses RENAME TO elsewhere")
    await place.execute("CREATE VIEW stored_responses AS SELECT * FROM elsewhere")
    place.worker.script = TALKING
    body = {"model": "chats/m", "input": "Once"}
    made = await place.http.post("/v1/responses", json=body)
    assert made.status_code == 500 or made.json()["store"] is False


@pytest.mark.requirement("B8", "B-17", "T-14")
async def test_a_provider_of_the_dialect_gets_the_body_and_its_answer_passes(place: Place) -> None:
    place.worker.script = answering(native(UPSTREAM), end=USED)
    body = {"model": "responds/m", "input": "Once", "truncation": "auto", "new": [1.50]}
    made = await place.http.post(
        "/v1/responses", content=json.dumps(body), headers={"content-type": "application/json"}
    )
    assert {**made.json(), "usage": 0} == {**UPSTREAM, "usage": 0}
    assert made.json()["usage"]["input_tokens_details"] == {"cached_tokens": 0, "cache_write_tokens": 0}
    assert made.json()["usage"]["cost"] == 0.00012345
    assert place.asked.native_chat.dialect == "openai_responses"
    assert json.loads(place.asked.native_chat.body) == body
    assert (await place.http.get("/v1/responses/resp_theirs")).content == made.content
    # the same provider knows its own response; another one gets what was said
    await place.http.post(
        "/v1/responses", json={"model": "responds/m", "input": "More", "previous_response_id": "resp_theirs"}
    )
    assert json.loads(place.asked.native_chat.body)["previous_response_id"] == "resp_theirs"
    place.worker.script = TALKING
    then = await place.sdk.responses.create(model="chats/m", input="More", previous_response_id="resp_theirs")
    assert place.said == ["Once", "Hi", "More"]
    place.worker.script = answering(native({**UPSTREAM, "id": "resp_later"}), end=USED)
    await place.sdk.responses.create(model="responds/m", input="End", previous_response_id=then.id)
    sent = json.loads(place.asked.native_chat.body)
    assert "previous_response_id" not in sent
    assert [item.get("id") for item in sent["input"]] == [None] * 5


async def test_events_of_a_provider_of_the_dialect_pass_as_they_are(place: Place) -> None:
    delta: dict[str, Any] = {"type": "response.output_text.delta", "sequence_number": 0, "delta": "Hi", "logprobs": []}
    delta |= {"item_id": "msg_theirs", "output_index": 0, "content_index": 0, "new": 1}
    last = {"type": "response.completed", "sequence_number": 1, "response": UPSTREAM}
    place.worker.script = answering(native(delta), native(last), end=USED)
    answer = await place.http.post("/v1/responses", json={"model": "responds/m", "input": "Hi", "stream": True})
    events = _events(answer.text)
    assert events[0] == delta
    assert events[1]["response"]["usage"]["cost"] == 0.00012345
    assert (await place.http.get("/v1/responses/resp_theirs")).json() == events[1]["response"]


@pytest.mark.requirement("B-6", "L-28")
@pytest.mark.parametrize("model", ["chats/m", "responds/m"])
async def test_an_error_before_the_first_content_has_a_status(place: Place, model: str) -> None:
    place.worker.script = failing(ProviderRateLimited("Slow down.", retry_after_seconds=7))
    with pytest.raises(openai.RateLimitError) as caught:
        await place.sdk.responses.create(model=model, input="Hi", stream=True)
    assert (caught.value.code, caught.value.response.headers["retry-after"]) == ("provider_rate_limited", "7")
    assert await place.execute("SELECT count(*) FROM stored_responses") == 0


@pytest.mark.requirement("L-26")
async def test_an_error_in_the_stream_is_the_sdks_error_and_the_response_has_failed(place: Place) -> None:
    place.worker.script = failing(UpstreamTimeout("too slow"), chunk(text("upon")))
    stream = await place.sdk.responses.create(model="chats/m", input="Once", stream=True)
    first = await anext(stream)
    assert first.type == "response.created"
    with pytest.raises(openai.APIError, match="too slow"):
        [event async for event in stream]
    read = await place.sdk.responses.retrieve(first.response.id)
    assert (read.status, read.error and read.error.message) == ("failed", "too slow")


@pytest.mark.requirement("B-7")
async def test_a_silent_stream_is_kept_alive(place: Place) -> None:
    place.worker.script = hanging()
    body = {"model": "chats/m", "input": "Once", "stream": True}
    async with place.http.stream("POST", "/v1/responses", json=body) as answer:
        lines: Any = answer.aiter_lines()
        assert [await anext(lines) for _ in range(3)] == [": ping", "", ": ping"]
        await lines.aclose()


async def test_tokens_are_counted_or_estimated(place: Place) -> None:
    counted = infer_pb2.Chunk(token_count=chat_pb2.TokenCount(input_tokens=12)).SerializeToString()
    place.worker.script = answering(counted, end=USED)
    count = await place.sdk.responses.input_tokens.count(model="counts/m", input="Once")
    assert (count.object, count.input_tokens) == ("response.input_tokens", 12)
    estimated = await place.http.post("/v1/responses/input_tokens", json={"model": "chats/m", "input": "12345678"})
    assert estimated.json() == {"object": "response.input_tokens", "input_tokens": 2}
    assert estimated.headers["x-llm-manager-usage-source"] == "estimated"
    assert len(place.worker.requests) == 1


@pytest.mark.parametrize("model", ["chats/m", "responds/m"])
async def test_a_conversation_is_shortened_and_goes_on(place: Place, model: str) -> None:
    place.worker.script = TALKING
    first = await place.sdk.responses.create(model="chats/m", input="Once")
    place.worker.script = answering(chunk(text("They told a story."), finish()), end=USED)
    short = await place.sdk.responses.compact(model=model, previous_response_id=first.id)
    assert (short.object, short.usage.total_tokens) == ("response.compaction", 22)
    assert "user: Once\n\nassistant: upon a time" in place.said[1]
    await place.sdk.responses.create(model=model, input=[*[item.to_dict() for item in short.output], _user("Go on")])  # pyright: ignore[reportArgumentType] # what the server said
    assert place.said[0].endswith("They told a story.")
    assert place.said[1] == "Go on"


async def test_half_a_summary_is_no_summary(place: Place) -> None:
    place.worker.script = answering(chunk(text("They"), finish("length")), end=USED)
    with pytest.raises(openai.InternalServerError, match="no whole summary"):
        await place.sdk.responses.compact(model="chats/m", input="Once")


def _user(content: str) -> Any:
    return {"role": "user", "content": content}
