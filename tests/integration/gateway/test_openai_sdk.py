"""The official SDK against the real gateway, a real bus, and a worker that answers as told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from decimal import Decimal
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam
from pydantic import BaseModel

from llm_manager.contracts.inference.v1 import chat_pb2, infer_pb2
from llm_manager.contracts.usage.v1 import event_pb2
from llm_manager.core.errors import (
    BudgetExceeded,
    LlmManagerError,
    ProviderRateLimited,
    UpstreamCredentialsExhausted,
    UpstreamFailure,
    UpstreamRefused,
    UpstreamTimeout,
)
from llm_manager.testing.answering_worker import (
    AnsweringWorker,
    answering,
    chunk,
    done,
    failing,
    finish,
    native,
    text,
)

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hi"}]
USAGE = event_pb2.Usage(input_uncached=10, cache_read=5, output_text=3, output_reasoning=4, requests=1)
PRICED = done(
    usage=USAGE,
    cost_picousd=123_450_000,
    upstream_request_id="req-up",
    upstream_headers={"x-ratelimit-limit-requests": "9"},
)


def _event(delta: dict[str, Any], finish_reason: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return {"id": "n1", "object": "chat.completion.chunk", "created": 5, "model": "gpt-x", "choices": [choice], **more}


TOKEN: dict[str, Any] = {"token": "Hi", "logprob": -0.1, "bytes": None, "top_logprobs": []}


def _choice(index: int) -> dict[str, Any]:
    message = {"role": "assistant", "content": f"Hi {index}", "a_future_field": {"x": 1}}
    return {"index": index, "finish_reason": "stop", "logprobs": {"content": [TOKEN]}, "message": message}


NATIVE_BODY: dict[str, Any] = {
    "id": "chatcmpl-up", "object": "chat.completion", "created": 5, "model": "gpt-4.1-mini-2025",
    "choices": [_choice(0), _choice(1)], "a_future_field": [1, 2],
}  # fmt: skip


@pytest.fixture
async def client(served: Any) -> AsyncGenerator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key=served.api_key, max_retries=0) as sdk:
        yield sdk


async def test_a_native_answer_goes_through_with_unknown_fields_n_logprobs_and_seed(
    client: openai.AsyncOpenAI, worker: AnsweringWorker
) -> None:
    worker.script = answering(native(NATIVE_BODY), end=PRICED)
    answer = await client.chat.completions.create(
        model="gpt-4.1-mini", messages=HELLO, n=2, logprobs=True, seed=7, stop=["END"], user="ann",
        extra_body={"a_future_parameter": {"x": [1]}},
    )  # fmt: skip
    said = answer.model_dump()
    assert [choice.message.content for choice in answer.choices] == ["Hi 0", "Hi 1"]
    assert (said["a_future_field"], said["choices"][1]["message"]["a_future_field"]) == ([1, 2], {"x": 1})
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (15, 7, 22)
    (asked,) = worker.requests
    sent = json.loads(asked.native_chat.body)
    assert (sent["a_future_parameter"], sent["seed"], sent["stop"]) == ({"x": [1]}, 7, ["END"])
    assert (asked.attribution.end_user, asked.attribution.configuration) == ("ann", "gpt-4.1-mini")
    assert (asked.target.provider, asked.target.kind, asked.target.upstream_model) == (
        "openai",
        "openai",
        "gpt-4.1-mini",
    )


@pytest.mark.requirement("L-11", "L-8")
async def test_headers_and_usage_say_what_it_cost(client: openai.AsyncOpenAI, worker: AnsweringWorker) -> None:
    worker.script = answering(native(NATIVE_BODY), end=PRICED)
    raw = await client.chat.completions.with_raw_response.create(model="gpt-4.1-mini", messages=HELLO)
    body = json.loads(raw.text, parse_float=Decimal)
    assert body["usage"]["cost"] == Decimal("0.00012345")
    assert {name: raw.headers[name] for name in raw.headers if name.startswith(("x-llm-manager", "x-ratelimit"))} == {
        "x-llm-manager-provider": "openai",
        "x-llm-manager-model": "gpt-4.1-mini",
        "x-llm-manager-attempts": "1",
        "x-llm-manager-overhead-ms": raw.headers["x-llm-manager-overhead-ms"],
        "x-llm-manager-cost": "0.00012345",
        "x-llm-manager-upstream-request-id": "req-up",
        "x-ratelimit-limit-requests": "9",
    }
    assert raw.headers["request-id"] == raw.headers["x-request-id"] == worker.requests[0].attribution.request_id
    off = await client.chat.completions.create(
        model="gpt-4.1-mini", messages=HELLO, extra_headers={"x-llm-manager-cost": "off"}
    )
    assert off.usage is not None
    assert "cost" not in off.usage.model_dump()


@pytest.mark.requirement("L-5", "L-11", "P-2", "L-29")
@pytest.mark.parametrize("model", ["gpt-4.1-mini", "echo"])
async def test_a_stream_ends_with_one_usage_chunk(
    model: str, client: openai.AsyncOpenAI, worker: AnsweringWorker
) -> None:
    if model == "echo":
        worker.script = answering(chunk(text("He")), chunk(text("llo"), finish()), end=PRICED)
    else:
        first, last = _event({"role": "assistant", "content": ""}), _event({}, "stop")
        worker.script = answering(native(first, _event({"content": "Hello"}, x_odd=1)), native(last), end=PRICED)
    stream = await client.chat.completions.create(
        model=model, messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = [item async for item in stream]
    assert "".join(item.choices[0].delta.content or "" for item in chunks if item.choices) == "Hello"
    assert chunks[0].choices[0].delta.role == "assistant"
    assert sum(item.choices[0].delta.role is not None for item in chunks if item.choices) == 1
    assert sum(item.choices[0].finish_reason is not None for item in chunks if item.choices) == 1
    assert all(item.usage is None for item in chunks[:-1])
    assert len({(item.id, item.created, item.model) for item in chunks}) == 1
    usage = chunks[-1].usage
    assert chunks[-1].choices == []
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (15, 7, 22)
    assert usage.model_dump()["cost"] == 0.00012345


async def test_tools_are_called(client: openai.AsyncOpenAI, worker: AnsweringWorker) -> None:
    start = chat_pb2.Delta(tool_call_start=chat_pb2.ToolCallStart(index=0, id="c1", name="look"))
    more = chat_pb2.Delta(tool_call_arguments=chat_pb2.ToolCallArguments(index=0, fragment='{"a":1}'))
    worker.script = answering(chunk(start, more, finish("tool_calls")))
    answer = await client.chat.completions.create(
        model="ollama/any",
        messages=[
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}}],
            },
        ],
        tools=[{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}],
    )
    calls = answer.choices[0].message.tool_calls or []
    assert [call.model_dump() for call in calls] == [
        {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"a":1}'}}
    ]
    assert worker.requests[0].chat.messages[0].parts[0].media.data == b"\x89PNG"
    assert worker.requests[0].chat.tools[0].name == "look"


class Capital(BaseModel):
    name: str


async def test_structured_output_is_parsed(client: openai.AsyncOpenAI, worker: AnsweringWorker) -> None:
    worker.script = answering(chunk(text('{"name":'), text('"Paris"}'), finish()))
    parsed = await client.chat.completions.parse(model="ollama/any", messages=HELLO, response_format=Capital)
    assert parsed.choices[0].message.parsed == Capital(name="Paris")
    assert json.loads(worker.requests[0].chat.response_format.schema)["properties"]["name"]["type"] == "string"


async def test_embeddings_come_back_as_sent(client: openai.AsyncOpenAI, worker: AnsweringWorker) -> None:
    vector = chat_pb2.Embedding(values=[0.5, -1.0])
    worker.script = answering(infer_pb2.Chunk(embeddings=[vector]).SerializeToString())
    answer = await client.embeddings.create(model="echo-embedding", input="Hi")
    assert answer.data[0].embedding == [0.5, -1.0]
    assert list(worker.requests[0].embeddings.texts) == ["Hi"]


async def test_native_embeddings_go_through(client: openai.AsyncOpenAI, worker: AnsweringWorker) -> None:
    body = {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [1.0]}], "model": "e", "x": 1}
    worker.script = answering(native(body), end=PRICED)
    answer = await client.embeddings.create(model="text-embedding-3-small", input=["Hi"], encoding_format="float")
    assert (answer.data[0].embedding, answer.usage.prompt_tokens, answer.model_dump()["x"]) == ([1.0], 15, 1)
    assert worker.requests[0].native_embeddings.dialect == "openai_chat"


async def test_the_synchronous_client_works_too(served: Any, worker: AnsweringWorker) -> None:
    worker.script = answering(chunk(text("Hel")), chunk(text("lo"), finish()))

    def talk() -> tuple[str | None, str, list[str]]:
        with openai.OpenAI(base_url=f"{served.url}/v1", api_key=served.api_key, max_retries=0) as sdk:
            whole = sdk.chat.completions.create(model="echo", messages=HELLO).choices[0].message.content
            stream = sdk.chat.completions.create(model="echo", messages=HELLO, stream=True)
            pieces = "".join(item.choices[0].delta.content or "" for item in stream)
            return whole, pieces, [model.id for model in sdk.models.list()]

    whole, pieces, models = await asyncio.to_thread(talk)
    assert (whole, pieces) == ("Hello", "Hello")
    assert {"echo", "gpt-4.1-mini"} <= set(models)


FAILURES: list[tuple[LlmManagerError, type[openai.APIStatusError], int, str | None]] = [
    (
        UpstreamRefused(
            "max_tokens is too large", param="max_tokens",
            upstream=UpstreamFailure(400, code="invalid_value", type="invalid_request_error", request_id="req-9"),
        ),
        openai.BadRequestError, 400, "invalid_value",
    ),
    (
        UpstreamRefused("no such model", http_status=404, upstream=UpstreamFailure(404, code="model_not_found")),
        openai.NotFoundError, 404, "model_not_found",
    ),
    (
        UpstreamRefused("moderated", http_status=403, upstream=UpstreamFailure(403, code="flagged")),
        openai.PermissionDeniedError, 403, "flagged",
    ),
    (
        UpstreamRefused("locked", http_status=409, retryable=True, upstream=UpstreamFailure(409, code="lock")),
        openai.ConflictError, 409, "lock",
    ),
    (
        ProviderRateLimited(
            "no quota", upstream=UpstreamFailure(429, code="insufficient_quota", should_retry=False)
        ),
        openai.RateLimitError, 429, "insufficient_quota",
    ),
    (UpstreamCredentialsExhausted("all keys refused", upstream=UpstreamFailure(401)), openai.InternalServerError, 502,
     "upstream_credentials_exhausted"),
    (ProviderRateLimited("slow down", retry_after_seconds=1.5), openai.RateLimitError, 429, "provider_rate_limited"),
    (BudgetExceeded("spent", retry_after_seconds=60), openai.RateLimitError, 429, "budget_exceeded"),
    (UpstreamTimeout("no first token in 30 s"), openai.InternalServerError, 504, "upstream_timeout"),
]  # fmt: skip


@pytest.mark.requirement("T-5")
@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize(("error", "raised", "status", "code"), FAILURES, ids=[type(f[0]).__name__ for f in FAILURES])
async def test_failures_are_typed_exceptions(
    error: LlmManagerError,
    raised: type[openai.APIStatusError],
    status: int,
    code: str,
    is_stream: bool,
    client: openai.AsyncOpenAI,
    worker: AnsweringWorker,
) -> None:
    worker.script = failing(error)
    create: Callable[..., Any] = client.chat.completions.create
    with pytest.raises(raised) as caught:
        await create(model="gpt-4.1-mini", messages=HELLO, stream=is_stream)
    failure = caught.value
    assert (failure.status_code, failure.code, failure.param) == (status, code, error.param)
    assert error.message in failure.message
    assert failure.request_id == worker.requests[0].attribution.request_id
    should_retry = failure.response.headers.get("x-should-retry")
    pointless = {"budget_exceeded", "upstream_credentials_exhausted", "insufficient_quota"}
    assert should_retry == ("false" if code in pointless else None)
    if error.retry_after_seconds:
        assert failure.response.headers["retry-after-ms"] == str(int(error.retry_after_seconds * 1000))


@pytest.mark.requirement("P-3")
@pytest.mark.parametrize("model", ["gpt-4.1-mini", "echo"])
async def test_a_failure_in_mid_stream_is_an_error_and_no_finish(
    model: str, client: openai.AsyncOpenAI, worker: AnsweringWorker
) -> None:
    first = chunk(text("Hel")) if model == "echo" else native(_event({"role": "assistant", "content": "Hel"}))
    worker.script = failing(UpstreamTimeout("silent for 30 s"), first)
    stream = await client.chat.completions.create(model=model, messages=HELLO, stream=True)
    seen: list[str | None] = []
    with pytest.raises(openai.APIError, match="silent for 30 s") as caught:  # noqa: PT012 # what came before counts
        async for item in stream:
            seen.append(item.choices[0].finish_reason)
    assert set(seen) == {None}
    assert caught.value.body == {
        "message": "silent for 30 s", "type": "upstream_error", "param": None, "code": "upstream_timeout",
    }  # fmt: skip


async def test_an_unknown_model_offers_the_nearest_names(client: openai.AsyncOpenAI, worker: AnsweringWorker) -> None:
    with pytest.raises(openai.NotFoundError, match=r"Did you mean gpt-4\.1-mini") as caught:
        await client.chat.completions.create(model="gpt-4.1-mni", messages=HELLO)
    assert (caught.value.code, caught.value.param, worker.requests) == ("model_not_found", "model", [])


@pytest.mark.requirement("T-6")
@pytest.mark.parametrize(
    ("model", "target"),
    [
        ("gpt-4.1-mini", ("openai", "gpt-4.1-mini", "gpt-4.1-mini")),
        ("default", ("echo", "echo", "echo")),
        ("openai/gpt-4.1-mini", ("openai", "gpt-4.1-mini", "")),
        ("groq/openai/gpt-oss-120b", ("groq", "openai/gpt-oss-120b", "")),
    ],
)
async def test_plain_names_aliases_and_prefixes_lead_somewhere(
    model: str, target: tuple[str, str, str], client: openai.AsyncOpenAI, worker: AnsweringWorker
) -> None:
    worker.script = answering(chunk(text("x"), finish())) if model == "default" else answering(native(NATIVE_BODY))
    await client.chat.completions.create(model=model, messages=HELLO)
    asked = worker.requests[0]
    assert (asked.target.provider, asked.target.upstream_model, asked.attribution.configuration) == target


async def test_models_are_listed_and_described(start: Any, near_worker: AnsweringWorker) -> None:
    async def script(asked: infer_pb2.InferRequest, sink: Any) -> bytes:
        if asked.target.kind == "groq":
            raise UpstreamTimeout("groq is silent")
        await sink.send(
            infer_pb2.Chunk(
                models=[chat_pb2.Model(id=f"{asked.target.kind}/live", created=3, owned_by="o")]
            ).SerializeToString()
        )
        return done()

    near_worker.script = script
    async with start() as gateway, openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.api_key) as client:
        await _check_models(client, near_worker)


async def _check_models(client: openai.AsyncOpenAI, worker: AnsweringWorker) -> None:
    listed = [model async for model in client.models.list()]
    ids = [model.id for model in listed]
    assert ids.index("gpt-4.1-mini") < ids.index("default") < ids.index("openai/openai/live")
    assert [model for model in ids if model.startswith("groq/")] == []
    one = await client.models.retrieve("openai/openai/live")
    assert (one.id, one.object, one.created, one.owned_by) == ("openai/openai/live", "model", 3, "o")
    assert (await client.models.retrieve("gpt-4.1-mini")).owned_by == "openai"
    assert (await client.models.retrieve("groq/openai/gpt-oss-120b")).owned_by == "groq"
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("openai/nothing")
    asked_before = len(worker.requests)
    assert [model.id async for model in client.models.list()] == ids
    assert len(worker.requests) == asked_before
