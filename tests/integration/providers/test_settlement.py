"""Whatever clients and providers write: the answer goes out, and the attempt becomes a row that says what is known."""

from __future__ import annotations

import json

import pytest

from llm_manager.contracts.usage.v1 import event_pb2 as event_types
from llm_manager.core.errors import UpstreamProtocolError, UpstreamUnreachable
from llm_manager.testing.asker import Asker
from llm_manager.testing.upstream import Cut, FakeUpstream, Script, chunk, completion, sse, usage_chunk

USAGE = {"prompt_tokens": 10, "completion_tokens": 3}
MEGABYTES = "x" * (2 * 1024 * 1024)
# What Python or our own decoders cannot count, in a field that nobody needs to look into.
ODD_BODIES = {
    "number": b'{"model":"m","messages":[],"tools":[{"x":1e400}]}',
    "latin-1": b'{"model":"m","messages":[{"role":"user","content":"caf\xe9"}]}',
    "surrogate": b'{"model":"m","messages":[{"role":"user","content":"a\\ud83d"}]}',
}


@pytest.mark.requirement("L-4", "L-24")
@pytest.mark.parametrize("body", ODD_BODIES.values(), ids=ODD_BODIES)
async def test_prompt_that_cannot_be_counted_costs_neither_the_answer_nor_the_row(
    asker: Asker, upstream: FakeUpstream, body: bytes
) -> None:
    upstream.script = completion("Hi", usage=USAGE)
    answered = await asker.ask(asker.native_chat(body))

    assert answered.error is None
    event = await asker.the_event()
    assert (event.state, event.usage_source) == (event_types.ATTEMPT_STATE_OK, event_types.USAGE_SOURCE_PROVIDER)
    assert (event.usage.input_uncached, event.usage.output_text) == (10, 3)


@pytest.mark.requirement("L-25")
@pytest.mark.parametrize("body", ODD_BODIES.values(), ids=ODD_BODIES)
async def test_without_a_report_it_is_estimated_all_the_same(asker: Asker, upstream: FakeUpstream, body: bytes) -> None:
    upstream.script = completion("Hi there", usage=None)
    answered = await asker.ask(asker.native_chat(body))

    assert answered.error is None
    event = await asker.the_event()
    assert event.usage_source == event_types.USAGE_SOURCE_ESTIMATED
    assert event.usage.input_uncached > 0
    assert event.usage.output_text == 2


@pytest.mark.parametrize("count", ["18446744073709551616", "1e30", "-1", "1.5", "1e3000000", '"many"'])
async def test_count_that_is_none_is_no_count(asker: Asker, upstream: FakeUpstream, count: str) -> None:
    report = b'{"choices":[],"usage":{"prompt_tokens":%b,"completion_tokens":3}}' % count.encode()
    steps = [*sse(chunk("Hi"), chunk(finish="stop")), b"data: " + report + b"\n\n", *sse("[DONE]")]
    upstream.script = Script(steps=steps)
    answered = await asker.ask(asker.native_chat(b'{"model":"m","messages":[{"role":"user","content":"abcd"}]}'))

    assert answered.error is None
    event = await asker.the_event()
    assert event.usage_source == event_types.USAGE_SOURCE_ESTIMATED
    assert event.usage.input_uncached == 1


async def test_provider_s_words_of_megabytes_are_cut_and_the_row_stays(asker: Asker, upstream: FakeUpstream) -> None:
    usage = {**USAGE, "note": MEGABYTES}
    last = {**chunk(finish=MEGABYTES), "model": MEGABYTES, "id": MEGABYTES, "system_fingerprint": MEGABYTES}
    upstream.script = Script(steps=sse({**chunk("Hi"), "model": MEGABYTES}, last, usage_chunk(usage), "[DONE]"))
    answered = await asker.ask(asker.native_chat(b'{"model":"m","messages":[]}'))

    assert answered.error is None
    event = await asker.the_event()
    assert event.usage.input_uncached == 10
    assert len(event.SerializeToString()) < 100_000
    assert event.native_finish_reason == MEGABYTES[:256]


async def test_client_s_words_of_megabytes_are_cut_too(asker: Asker, upstream: FakeUpstream) -> None:
    upstream.script = completion("Hi", usage=USAGE)
    request = asker.native_chat(b'{"model":"m","messages":[]}')
    request.attribution.requested_model = MEGABYTES
    request.attribution.end_user = MEGABYTES
    for number in range(1_000):
        request.attribution.tags[f"tag-{number}"] = MEGABYTES[:2_000]
    await asker.ask(request)

    event = await asker.the_event()
    assert (event.usage.input_uncached, len(event.tags)) == (10, 64)
    assert len(event.SerializeToString()) < 100_000


@pytest.mark.requirement("L-4")
async def test_answer_whose_head_is_not_http_may_have_cost_something(asker: Asker, upstream: FakeUpstream) -> None:
    upstream.script = Script(headers={"content-type": "application/json", "bad\x00name": "x"})
    answered = await asker.ask(asker.native_chat(b'{"model":"m","messages":[]}'))

    assert isinstance(answered.error, UpstreamProtocolError)
    event = await asker.the_event()
    assert (event.usage_source, event.cost.state) == (
        event_types.USAGE_SOURCE_UNKNOWN,
        event_types.COST_STATE_UNPRICED,
    )
    assert not event.cost.HasField("total_picousd")


@pytest.mark.requirement("L-4")
async def test_connection_lost_after_the_request_may_have_cost_something(asker: Asker, upstream: FakeUpstream) -> None:
    upstream.script = Script(before_headers=[Cut()])
    answered = await asker.ask(asker.native_chat(json.dumps({"model": "m", "messages": []}).encode()))

    assert isinstance(answered.error, UpstreamUnreachable)
    event = await asker.the_event()
    assert event.usage_source == event_types.USAGE_SOURCE_UNKNOWN
    assert not event.cost.HasField("total_picousd")
