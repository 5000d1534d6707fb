"""The worker as a whole, on a real NATS: what it asks, what it answers, and the ledger event of each attempt."""

from __future__ import annotations

import json

import pytest

from llm_manager.contracts.inference.v1.chat_pb2 import EmbeddingsInput
from llm_manager.contracts.inference.v1.infer_pb2 import ModelsInput, NativeInput
from llm_manager.contracts.usage.v1 import event_pb2 as event_types
from llm_manager.testing.asker import Asker
from llm_manager.testing.upstream import (
    FakeUpstream,
    Script,
    chunk,
    completion,
    sse,
    usage_chunk,
)

BODY = (
    b'{"model":"nice-name","messages":[{"role":"user","content":"Hello there"}],'
    b'"seed":15092511270073158000,"x_new":{"a":1}}'
)
USAGE = {"prompt_tokens": 10, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}, "brand_new": [1]}
# 6 * 1 + 4 * 0.1 + 3 * 2 dollars for a million tokens
COST_PICOUSD = 12_400_000


async def test_streamed_chat_is_answered_recorded_and_priced(asker: Asker, upstream: FakeUpstream) -> None:
    upstream.script = Script(
        steps=sse(chunk("Hel"), chunk("lo"), chunk(finish="stop"), usage_chunk(USAGE), "[DONE]"),
        headers={"content-type": "text/event-stream", "x-request-id": "req-9", "x-ratelimit-remaining-tokens": "7"},
    )
    request = asker.native_chat(BODY)
    answered = await asker.ask(request)

    assert answered.error is None
    deltas = [json.loads(event)["choices"][0] for event in answered.native]
    assert [d["delta"].get("content") for d in deltas] == ["Hel", "lo", None]
    assert deltas[-1]["finish_reason"] == "stop"
    assert sum(chunk.characters for chunk in answered.chunks) == len("Hello")
    event = await asker.the_event()
    assert event.event_id == request.attribution.attempt_id
    assert (event.state, event.usage_source) == (event_types.ATTEMPT_STATE_OK, event_types.USAGE_SOURCE_PROVIDER)
    assert event.usage == event_types.Usage(input_uncached=6, cache_read=4, output_text=3, requests=1)
    assert event.cost.total_picousd == COST_PICOUSD
    assert event.cost.price_version == "2026-11-24.1"
    assert (event.upstream_request_id, event.upstream_status, event.is_stream) == ("req-9", 200, True)
    assert (event.requested_model, event.upstream_model, event.response_model) == (
        "nice-name",
        "asked-for",
        "upstream-says",
    )
    assert event.time_to_first_token_ms <= event.duration_ms
    assert dict(event.tags) == {"team": "a"}
    assert answered.headers == {"x-ratelimit-remaining-tokens": "7"}
    assert (answered.event.cost, answered.event.app_id) == (event.cost, "")


async def test_provider_sees_the_credential_the_model_and_every_unknown_field(
    asker: Asker, upstream: FakeUpstream
) -> None:
    upstream.script = Script(steps=sse(chunk("x"), chunk(finish="stop"), "[DONE]"))
    await asker.ask(asker.native_chat(BODY))

    (seen,) = upstream.requests
    assert (seen.method, seen.path) == ("POST", "/chat/completions")
    assert seen.headers["authorization"] == "Bearer sk-canary-0123456789abcdef"
    sent = seen.json()
    assert sent["model"] == "asked-for"
    assert sent["stream"] is True
    assert sent["stream_options"] == {"include_usage": True}
    assert sent["seed"] == 15092511270073158000
    assert sent["x_new"] == {"a": 1}


async def test_fields_that_only_a_provider_has_stay_in_a_stream_of_its_own_dialect(
    asker: Asker, upstream: FakeUpstream
) -> None:
    thought = {**chunk(), "choices": [{"index": 0, "delta": {"reasoning": "Hm"}, "finish_reason": None}]}
    # Groq says the tier where nothing but usage is left
    last = {**usage_chunk(USAGE), "service_tier": "on_demand"}
    upstream.script = Script(steps=sse(thought, chunk("x"), chunk(finish="stop"), last, "[DONE]"))
    answered = await asker.ask(asker.native_chat(BODY))

    chunks = [json.loads(event) for event in answered.native]
    delta = chunks[0]["choices"][0]["delta"]
    assert (delta["reasoning"], delta["reasoning_content"]) == ("Hm", "Hm")
    assert chunks[-1]["service_tier"] == "on_demand"
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


@pytest.mark.requirement("L-1", "L-2")
async def test_same_request_costs_the_same_streamed_or_not_by_the_model_that_was_asked_for(
    asker: Asker, upstream: FakeUpstream
) -> None:
    upstream.script = Script(steps=sse(chunk("Hello"), chunk(finish="stop", usage=USAGE), "[DONE]"))
    streamed = await asker.ask(asker.native_chat(BODY))
    upstream.script = completion("Hello", usage=USAGE)
    whole = await asker.ask(asker.native_chat(BODY, stream=False))

    assert streamed.event.usage == whole.event.usage
    assert streamed.event.cost == whole.event.cost
    assert streamed.event.cost.total_picousd == COST_PICOUSD
    assert streamed.event.response_model == "upstream-says"
    assert streamed.event.finish_reason == whole.event.finish_reason == "stop"
    assert "usage" not in json.loads(whole.native[0])


@pytest.mark.requirement("P-4")
@pytest.mark.parametrize("at", range(4))
async def test_usage_counts_on_whichever_chunk_it_comes(asker: Asker, upstream: FakeUpstream, at: int) -> None:
    events = [chunk("a"), chunk("b"), chunk(finish="stop"), usage_chunk({})]
    events[at] = {**events[at], "usage": USAGE}
    upstream.script = Script(steps=sse(*events, "[DONE]"))
    answered = await asker.ask(asker.native_chat(BODY))

    assert answered.event.usage.input_uncached + answered.event.usage.cache_read == 10
    assert not any("usage" in json.loads(event) for event in answered.native)


@pytest.mark.requirement("P-10")
async def test_unknown_keys_of_usage_are_kept_byte_for_byte(asker: Asker, upstream: FakeUpstream) -> None:
    raw = '{"prompt_tokens": 1,"completion_tokens":2 ,"prompt_cache_hit_tokens":1,"odd":{"x":[1.50,null]}}'
    upstream.script = Script(
        steps=sse(chunk("a"), chunk(finish="stop"), '{"choices":[],"usage":' + raw + "}", "[DONE]")
    )
    await asker.ask(asker.native_chat(BODY))

    event = await asker.the_event()
    assert event.raw_usage == raw.encode()
    assert event.usage.cache_read == 1


async def test_embeddings_and_models_come_back_and_only_embeddings_are_recorded(
    asker: Asker, upstream: FakeUpstream
) -> None:
    vectors = {"data": [{"embedding": [0.25, -1.0], "index": 0}], "model": "m", "usage": {"prompt_tokens": 5}}
    upstream.script = Script(steps=[json.dumps(vectors).encode()], headers={})
    native = asker.request()
    native.native_embeddings.CopyFrom(NativeInput(dialect="openai_chat", body=b'{"input":["a"],"dimensions":2}'))
    whole = await asker.ask(native)
    assert json.loads(whole.native[0])["data"] == vectors["data"]
    assert upstream.requests[-1].json() == {"input": ["a"], "dimensions": 2, "model": "asked-for"}

    neutral = asker.request()
    neutral.embeddings.CopyFrom(EmbeddingsInput(texts=["a"], dimensions=2))
    said = await asker.ask(neutral)
    assert list(said.chunks[0].embeddings[0].values) == [0.25, -1.0]
    assert said.event.usage == whole.event.usage == event_types.Usage(input_uncached=5, requests=1)
    assert (said.event.operation, said.event.cost.total_picousd) == ("embeddings", 5_000_000)

    upstream.script = Script(steps=[b'{"data":[{"id":"m1","created":3,"owned_by":"me"}]}'], headers={})
    asking = asker.request()
    asking.models.CopyFrom(ModelsInput())
    listed = await asker.ask(asking)
    assert [(m.id, m.created, m.owned_by) for m in listed.chunks[0].models] == [("m1", 3, "me")]
    assert (upstream.requests[-1].method, upstream.requests[-1].path) == ("GET", "/models")
    assert len(asker.events) == 2


async def test_connection_is_used_again_after_a_whole_stream(asker: Asker, upstream: FakeUpstream) -> None:
    upstream.script = Script(steps=sse(chunk("a"), chunk(finish="stop"), "[DONE]"))
    for _ in range(3):
        assert (await asker.ask(asker.native_chat(BODY))).error is None

    assert upstream.connections == 1


async def test_large_answer_and_request_pass(asker: Asker, upstream: FakeUpstream) -> None:
    text = "x" * 3_000_000
    upstream.script = completion(text, usage=USAGE)
    body = json.dumps({"messages": [{"role": "user", "content": text}]}).encode()
    answered = await asker.ask(asker.native_chat(body, stream=False))

    assert answered.error is None
    assert json.loads(answered.native[0])["choices"][0]["message"]["content"] == text
    assert len(upstream.requests[0].body) > 3_000_000


@pytest.mark.requirement("S22")
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_echo_answers_word_by_word_and_says_that_it_is_a_demo(asker: Asker, stream: bool) -> None:
    request = asker.neutral_chat("say it  again", stream=stream, kind="echo", model="echo")
    request.target.credential = b""
    first, second = await asker.ask(request), await asker.ask(request)

    texts = [delta.text for chunk in first.chunks for delta in chunk.deltas if delta.WhichOneof("kind") == "text"]
    assert "".join(texts) == "Echo (demo): say it  again"
    assert len(texts) == (5 if stream else 1)
    assert first.event.usage == event_types.Usage(input_uncached=3, output_text=5, requests=1)
    assert first.event.usage_source == event_types.USAGE_SOURCE_PROVIDER
    assert [list(c.deltas) for c in first.chunks] == [list(c.deltas) for c in second.chunks]
