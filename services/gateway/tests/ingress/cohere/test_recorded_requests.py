"""What clients of Cohere really asked for, said in neutral words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from llm_manager.core.messages import ChatInput, OpaqueBlock, Text, ToolCall, ToolResult
from llm_manager.gateway.ingress.cohere.translation import chat_input
from llm_manager.testing.recordings import Recording, load, why_absent

pytestmark = pytest.mark.skipif(why_absent() is not None, reason=str(why_absent()))

Json = dict[str, Any]
ASKED = [item for item in load(providers=("cohere",), operations=("chat",)) if item.wire == "cohere.chat.v2"]
# What neutral words say, or the gateway does itself.
SAID = frozenset(
    {
        *("model", "stream", "messages", "tools", "strict_tools", "tool_choice", "response_format"),
        *("max_tokens", "stop_sequences", "temperature", "thinking"),
    }
)


def _translated(recording: Recording) -> ChatInput:
    return chat_input(json.dumps(recording.request).encode())


def _blocks(content: str | Sequence[Json] | None) -> Iterator[Json]:
    if isinstance(content, str):
        yield {"type": "text", "text": content}
    else:
        yield from content or ()


def test_the_recordings_are_there() -> None:
    assert len(ASKED) >= 75


@pytest.mark.requirement("S26", "T-13", "B-17", "T-14")
@pytest.mark.parametrize("recording", ASKED, ids=lambda item: item.id)
def test_everything_that_was_said_is_said_in_neutral_words(recording: Recording) -> None:
    came: list[Json] = recording.request["messages"]
    parts = [part for message in _translated(recording).messages for part in message.parts]
    texts = [
        block["text"]
        for message in came
        if message["role"] != "tool"
        for block in _blocks(message.get("content"))
        if block["type"] == "text" and (block["text"] or message["role"] != "assistant")
    ]
    assert [part.text for part in parts if isinstance(part, Text)] == texts
    calls = [
        (call["id"], call["function"]["name"], call["function"]["arguments"])
        for message in came
        for call in message.get("tool_calls") or ()
    ]
    assert [(part.id, part.name, part.arguments) for part in parts if isinstance(part, ToolCall)] == calls
    answered = [message["tool_call_id"] for message in came if message["role"] == "tool"]
    assert [part.tool_call_id for part in parts if isinstance(part, ToolResult)] == answered
    planned = [message for message in came if message.get("tool_plan") or message.get("citations")]
    assert [json.loads(part.json) for part in parts if isinstance(part, OpaqueBlock)] == planned


@pytest.mark.requirement("B-15", "P-18")
@pytest.mark.parametrize("recording", ASKED, ids=lambda item: item.id)
def test_no_recorded_parameter_and_no_tool_is_lost(recording: Recording) -> None:
    asked: Json = recording.request
    chat = _translated(recording)
    sampling = chat.sampling
    assert (sampling.max_tokens, sampling.temperature, sampling.stop) == (
        asked.get("max_tokens"),
        asked.get("temperature"),
        tuple(asked.get("stop_sequences") or ()),
    )
    tools: list[Json] = [tool["function"] for tool in asked.get("tools") or ()]
    assert [(tool.name, json.loads(tool.parameters or b"null")) for tool in chat.tools] == [
        (tool["name"], tool.get("parameters")) for tool in tools
    ]
    assert (chat.tool_choice is not None) == (asked.get("tool_choice") is not None)
    assert (chat.response_format is not None) == (asked.get("response_format") is not None)
    assert bool(sampling.reasoning_effort or sampling.reasoning_budget is not None) == bool(asked.get("thinking"))
    left = {name for name, value in asked.items() if name not in SAID and value not in (None, [])}
    assert (json.loads(chat.extension).keys() if chat.extension else set()) == left
