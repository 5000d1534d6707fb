"""Requests of clients that speak responses themselves, and the size of prompts."""

from __future__ import annotations

import json
from typing import Any  # JSON bodies

import pytest

from llm_manager.core.deltas import TokenCount
from llm_manager.core.errors import InvalidRequest, UpstreamProtocolError, UpstreamRefused
from llm_manager.core.facts import load_facts
from llm_manager.core.messages import ChatInput, Message, ResponseFormat, Sampling, Text, Tool
from llm_manager.providers.dialects.openai_responses.dialect import OpenAiResponses
from llm_manager.providers.dialects.policy import Policy
from llm_manager.providers.dialects.port import (
    CountsTokens,
    Dialect,
    NativeChats,
    NativeCountsTokens,
    Pieces,
    UpstreamCall,
)
from llm_manager.testing.recordings import Recording, load, why_absent

DIALECT = OpenAiResponses(load_facts()["openai"], new_id=str)
Json = dict[str, Any]
on_recordings = pytest.mark.skipif(why_absent() is not None, reason=why_absent() or "")
COUNTS = load(providers=("openai",), operations=("count_tokens",))


def native(body: bytes, *, is_stream: bool = False, kind: str = "openai") -> UpstreamCall:
    dialect = OpenAiResponses(load_facts()[kind], new_id=str)
    return dialect.native_chat(body, model="up", is_stream=is_stream, policy=Policy())


def test_dialect_says_what_it_can_do() -> None:
    for ability in (Dialect, NativeChats, CountsTokens, NativeCountsTokens):
        assert isinstance(DIALECT, ability)


@on_recordings
@pytest.mark.requirement("S17", "B-14", "B-15")
def test_recorded_bodies_pass_with_their_model_and_stream_alone_replaced() -> None:
    recordings = [r for r in load(providers=("openai", "openai_compatible"), operations=("responses",)) if r.request]
    for recording in recordings:
        call = native(json.dumps(recording.request).encode(), is_stream=recording.is_stream)
        wanted = {**recording.request, "model": "up"}
        wanted.pop("stream", None)
        if recording.is_stream:
            wanted["stream"] = True
        assert (call.method, call.path) == ("POST", "/responses")
        assert json.loads(call.body) == wanted
        assert call.prompt() > 0 or not recording.request.get("input")
    assert len(recordings) == 102


def test_native_body_keeps_every_byte_of_what_is_not_replaced() -> None:
    body = (
        b'{"model":"alias", "input":[{"type":"reasoning","encrypted_content":"gA=="}],"x":1.50,'
        b'"previous_response_id":"resp_1","store":true,"background":false,"seed":12345678901234567890,'
        b'"stream":false,"stream_options":{"include_obfuscation":false}}'
    )

    assert native(body, is_stream=True).body == (
        b'{"model":"up","input":[{"type":"reasoning","encrypted_content":"gA=="}],"x":1.50,'
        b'"previous_response_id":"resp_1","store":true,"background":false,"seed":12345678901234567890,'
        b'"stream_options":{"include_obfuscation":false},"stream":true}'
    )


def test_options_of_streams_are_sent_with_streams_only() -> None:
    body = b'{"model":"m","input":"Hi","stream":true,"stream_options":{"include_obfuscation":false}}'

    assert json.loads(native(body).body) == {"model": "up", "input": "Hi"}


@pytest.mark.parametrize("kind", ["openrouter", "groq"])
def test_provider_that_keeps_nothing_is_not_asked_to_store(kind: str) -> None:
    body = b'{"model":"m","input":"Hi","store":true}'

    assert json.loads(native(body, kind=kind).body) == {"model": "up", "input": "Hi"}
    assert json.loads(native(body, kind="custom").body) == {"model": "up", "input": "Hi", "store": True}


@pytest.mark.parametrize("body", [b"[]", b"nonsense", b""])
def test_native_body_of_the_wrong_form_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        native(body)


def test_size_of_a_prompt_is_asked_without_what_decides_only_the_answer() -> None:
    chat = ChatInput(
        messages=(Message(role="user", parts=(Text(text="Hello"),)),),
        tools=(Tool(name="f", parameters=b"{}"),),
        response_format=ResponseFormat(kind="json_object"),
        sampling=Sampling(max_tokens=5, n=3, stop=("x",), reasoning_effort="low"),
        extension=b'{"store":true}',
    )
    call = DIALECT.count_tokens(chat, model="gpt-5.4", policy=Policy())

    assert (call.method, call.path) == ("POST", "/responses/input_tokens")
    assert json.loads(call.body) == {
        "model": "gpt-5.4",
        "input": [{"role": "user", "content": "Hello"}],
        "tools": [{"type": "function", "name": "f", "parameters": {}, "strict": False}],
        "text": {"format": {"type": "json_object"}},
        "reasoning": {"effort": "low"},
    }


@on_recordings
@pytest.mark.parametrize("recording", COUNTS, ids=lambda r: r.id)
def test_recorded_count_is_read_in_both_forms(recording: Recording) -> None:
    asked = json.dumps(recording.request).encode()
    call = DIALECT.native_count_tokens(asked, model=recording.request["model"], policy=Policy())
    neutral, native_form = DIALECT.count_tokens_reader(), DIALECT.native_count_tokens_reader()
    for reader in (neutral, native_form):
        for at in range(0, len(recording.body), 7):
            assert not reader.feed(recording.body[at : at + 7])

    assert json.loads(call.body) == recording.request
    assert recording.url.endswith(call.path)
    tokens = recording.expected["input_tokens"]
    assert neutral.finish() == Pieces(token_count=TokenCount(input_tokens=tokens))
    assert native_form.finish() == Pieces(native=[recording.body.strip()])


@on_recordings
def test_every_recorded_count_was_read() -> None:
    assert len(COUNTS) == 4


def test_count_that_is_none_is_an_error() -> None:
    broken, refused = DIALECT.count_tokens_reader(), DIALECT.count_tokens_reader()
    broken.feed(b'{"object":"response.input_tokens"}')
    refused.feed(b'{"error":{"code":"invalid_prompt","message":"No."}}')

    assert not broken.finish()
    assert isinstance(broken.error, UpstreamProtocolError)
    assert not refused.finish()
    assert isinstance(refused.error, UpstreamRefused)
