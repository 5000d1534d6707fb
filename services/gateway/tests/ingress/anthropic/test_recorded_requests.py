"""What clients of Anthropic really asked for: said in neutral words, or refused by the name of what cannot be said."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from llm_manager.core.errors import InvalidRequest
from llm_manager.core.messages import ChatInput, Media, OpaqueBlock, Reasoning, Text, ToolCall, ToolResult
from llm_manager.gateway.ingress.anthropic.translation import chat_input, count_input
from llm_manager.testing.recordings import Recording, load, why_absent

pytestmark = pytest.mark.skipif(why_absent() is not None, reason=str(why_absent()))

Json = dict[str, Any]
# Recordings that ask for what has no neutral words, and the field that the refusal names.
UNSUPPORTED = {
    "anthropic-chat-340221d6c6": "tools[1].defer_loading",
    "anthropic-chat-48b9b612a7": "tools[0].defer_loading",
    "anthropic-chat-5ec0655396": "messages[2].content[0].content[0].citations",
    "anthropic-chat-730c5f2c58": "tools[1].defer_loading",
    "anthropic-chat-73c49c0ad3": "tools[1].defer_loading",
    "anthropic-chat-76e06bf887": "tools[1].defer_loading",
    "anthropic-chat-988ab75030": "tools[0].allowed_callers",
    "anthropic-chat-9aacc679d9": "messages[0].content[1].citations",
    "anthropic-chat-b6ab1ba35d": "tools[1].defer_loading",
    "anthropic-chat-b7931d1a11": "tools[0].allowed_callers",
    "anthropic-chat-bcd45a6fa7": "messages[0].content[1].citations",
    "anthropic-chat-f6298f7f36": "messages[0].content[1].citations",
    "anthropic-chat-fca97b528e": "tools[1].defer_loading",
}
# Recordings that Anthropic refused too, all with status 400.
WRONG = {
    "anthropic-chat-5e269722a3": "messages[0].content",
    "anthropic-chat-a78ad5c8e0": "tools[0].input_schema",
    "anthropic-chat-ed6e65253f": "messages[0]",
}
# What neutral words say, or the gateway does itself.
SAID = frozenset(
    {
        *("model", "stream", "metadata", "messages", "system", "max_tokens", "temperature", "top_p", "top_k", "tools"),
        *("stop_sequences", "tool_choice", "thinking", "output_config", "output_format", "cache_control"),
    }
)


def _asked(*operations: str) -> list[Recording]:
    return [item for item in load(providers=("anthropic",), operations=operations) if item.request is not None]


ASKED = [
    item for item in _asked("chat", "count_tokens") if item.wire in ("anthropic.messages", "anthropic.count_tokens")
]


def _translated(recording: Recording) -> ChatInput:
    body = json.dumps(recording.request).encode()
    return chat_input(body) if recording.operation == "chat" else count_input(body).chat


def _blocks(content: str | Sequence[Json] | None) -> Iterator[Json]:
    if isinstance(content, str):
        yield {"type": "text", "text": content}
    else:
        yield from content or ()


def _said(asked: Json) -> Iterator[tuple[str, Json]]:
    yield from (("system", block) for block in _blocks(asked.get("system")) if block["text"])
    for message in asked["messages"]:
        yield from ((message["role"], block) for block in _blocks(message["content"]))


def _text_of(result: Json) -> str:
    return "".join(block["text"] for block in _blocks(result.get("content")) if block["type"] == "text")


def test_the_recordings_are_there() -> None:
    assert len(ASKED) > 140
    assert {*UNSUPPORTED, *WRONG} < {item.id for item in ASKED}
    assert {item.status for item in ASKED if item.id in WRONG} == {400}


@pytest.mark.requirement("S18", "P-18", "B-14")
@pytest.mark.parametrize(
    "recording", [item for item in ASKED if item.id in {*UNSUPPORTED, *WRONG}], ids=lambda item: item.id
)
def test_what_cannot_be_said_is_refused_by_its_name(recording: Recording) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        _translated(recording)
    if recording.id in WRONG:
        assert (refusal.value.code, refusal.value.param) == ("invalid_request", WRONG[recording.id])
    else:
        assert (refusal.value.code, refusal.value.param) == ("unsupported_parameter", UNSUPPORTED[recording.id])


TRANSLATED = [item for item in ASKED if item.id not in {*UNSUPPORTED, *WRONG}]


@pytest.mark.requirement("S18", "T-13", "B-17", "T-14")
@pytest.mark.parametrize("recording", TRANSLATED, ids=lambda item: item.id)
def test_everything_that_was_said_is_said_in_neutral_words(recording: Recording) -> None:
    parts = [part for message in _translated(recording).messages for part in message.parts]
    came = [block for _, block in _said(recording.request)]
    of = {kind: [block for block in came if block["type"] == kind] for kind in {block["type"] for block in came}}
    assert [part.text for part in parts if isinstance(part, Text)] == [block["text"] for block in of.get("text", ())]
    thoughts = [block["thinking"] for block in of.get("thinking", ()) if block["thinking"]]
    assert [part.text for part in parts if isinstance(part, Reasoning)] == thoughts
    calls = [(block["id"], block["name"], block["input"]) for block in of.get("tool_use", ())]
    found = [part for part in parts if isinstance(part, ToolCall)]
    assert [(part.id, part.name, json.loads(part.arguments)) for part in found] == calls
    names = {block["id"]: block["name"] for block in of.get("tool_use", ())}
    results = [
        (block["tool_use_id"], names.get(block["tool_use_id"], ""), _text_of(block), bool(block.get("is_error")))
        for block in of.get("tool_result", ())
    ]
    answered = [part for part in parts if isinstance(part, ToolResult)]
    assert [(part.tool_call_id, part.name, part.text, part.is_error) for part in answered] == results
    media = [block for block in came if block["type"] in ("image", "document")]
    assert len([part for part in parts if isinstance(part, Media)]) == len(media)


@pytest.mark.requirement("B-17", "T-14")
@pytest.mark.parametrize("recording", TRANSLATED, ids=lambda item: item.id)
def test_signed_and_server_blocks_come_along_as_the_whole_turn(recording: Recording) -> None:
    neutral = {"text", "tool_use"}
    whole = [
        block
        for message in recording.request["messages"]
        if message["role"] == "assistant" and {block["type"] for block in _blocks(message["content"])} - neutral
        for block in _blocks(message["content"])
    ]
    parts = [part for message in _translated(recording).messages for part in message.parts]
    kept = [part for part in parts if isinstance(part, OpaqueBlock)]
    cited = [block for _, block in _said(recording.request) if block.get("citations")]
    if not cited:
        assert [json.loads(part.json) for part in kept] == whole
    assert {part.dialect for part in kept} <= {"anthropic_messages"}


@pytest.mark.requirement("B-15", "P-18")
@pytest.mark.parametrize("recording", TRANSLATED, ids=lambda item: item.id)
def test_no_recorded_parameter_and_no_tool_is_lost(recording: Recording) -> None:
    asked: Json = recording.request
    chat = _translated(recording)
    sampling = chat.sampling
    thinking: Json = asked.get("thinking") or {}
    config: Json = asked.get("output_config") or {}
    assert (sampling.max_tokens, sampling.temperature, sampling.top_p, sampling.top_k, sampling.stop) == (
        asked.get("max_tokens"),
        asked.get("temperature"),
        asked.get("top_p"),
        asked.get("top_k"),
        tuple(asked.get("stop_sequences") or ()),
    )
    assert sampling.reasoning_budget == (0 if thinking.get("type") == "disabled" else thinking.get("budget_tokens"))
    assert sampling.reasoning_effort == (config.get("effort") or "")
    tools: list[Json] = asked.get("tools") or []
    mine = [tool for tool in tools if tool.get("type") in (None, "custom")]
    assert [(tool.name, json.loads(tool.parameters)) for tool in chat.tools] == [
        (tool["name"], tool["input_schema"]) for tool in mine
    ]
    native = [json.loads(block.json) for block in chat.native_tools]
    assert native == [tool for tool in tools if tool not in mine]
    choice: Json = asked.get("tool_choice") or {}
    assert (chat.tool_choice.name if chat.tool_choice else "") == choice.get("name", "")
    form: object = asked.get("output_format") or config.get("format")
    assert (chat.response_format is not None) == (form is not None)
    left = {name for name, value in asked.items() if name not in SAID and value not in (None, "auto")}
    assert (json.loads(chat.extension).keys() if chat.extension else set()) == left
