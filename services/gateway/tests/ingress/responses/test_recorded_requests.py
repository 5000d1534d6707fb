"""What clients of OpenAI really asked for: said in neutral words, or refused by the name of what cannot be said."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llm_manager.core.errors import InvalidRequest
from llm_manager.core.messages import ChatInput, Text, ToolCall, ToolResult
from llm_manager.gateway.ingress.responses.translation import chat_input
from llm_manager.testing.recordings import Recording, load, why_absent

pytestmark = pytest.mark.skipif(why_absent() is not None, reason=str(why_absent()))

# Recordings that ask for what has no neutral words, or that are wrong, and the field that the refusal names.
REFUSED = {
    "openai-responses-3758f40ba8": ("unsupported_parameter", "tools[1].defer_loading"),
    "openai-responses-788f6f198b": ("unsupported_parameter", "tool_choice.function"),
    "openai-responses-832d88137d": ("unsupported_parameter", "tools[0].function"),
    "openai-responses-88752aa3eb": ("unsupported_parameter", "prompt"),
    "openai-responses-8a0fdb20f1": ("unsupported_parameter", "tools[0].function"),
    "openai-responses-9c16281536": ("invalid_request", "input[2].id"),
    "openai-responses-c9bc09f46a": ("unsupported_parameter", "input[4].type"),
    "openai_compatible-responses-386edbb2df": ("unsupported_parameter", "reasoning.context"),
}


def _asked() -> list[Recording]:
    if why_absent() is not None:
        return []
    found = load(providers=("openai", "openai_compatible"), operations=("responses",))
    return [item for item in found if item.request is not None]


def _translated(recording: Recording) -> ChatInput | InvalidRequest:
    try:
        return chat_input(json.dumps(recording.request).encode())
    except InvalidRequest as error:
        return error


@pytest.mark.requirement("B8", "B-14", "B-15")
@pytest.mark.parametrize("recording", _asked(), ids=lambda item: item.id)
def test_every_recorded_request_is_translated_or_refused_by_name(recording: Recording) -> None:
    chat = _translated(recording)
    if isinstance(chat, InvalidRequest):
        assert (chat.code, chat.param) == REFUSED[recording.id]
        return
    assert recording.id not in REFUSED
    asked: dict[str, Any] = recording.request
    is_text = isinstance(asked["input"], str)
    items: list[dict[str, Any]] = [{"role": "user", "content": asked["input"]}] if is_text else asked["input"]
    parts = [part for message in chat.messages for part in message.parts]
    calls = [item["call_id"] for item in items if item.get("type") in ("function_call", "custom_tool_call")]
    assert [part.id for part in parts if isinstance(part, ToolCall)] == calls
    results = [item["call_id"] for item in items if str(item.get("type")).endswith("_call_output")]
    assert [part.tool_call_id for part in parts if isinstance(part, ToolResult)] == results
    assert [part.text for part in parts if isinstance(part, Text)] == _words_of(asked, items)
    tools: list[dict[str, Any]] = asked.get("tools") or []
    assert [tool.name for tool in chat.tools] == [tool["name"] for tool in tools if tool["type"] == "function"]
    assert [json.loads(tool.json) for tool in chat.native_tools] == [
        tool for tool in tools if tool["type"] != "function"
    ]
    assert chat.sampling.max_tokens == asked.get("max_output_tokens")
    reasoning: dict[str, Any] = asked.get("reasoning") or {}
    assert chat.sampling.reasoning_effort == (reasoning.get("effort") or "")


def _words_of(asked: Any, items: list[Any]) -> list[str]:
    words = [asked["instructions"]] if asked.get("instructions") else []
    for item in items:
        content: Any = item.get("content", [])
        parts = [{"text": content}] if isinstance(content, str) else content
        words += [part["text"] for part in parts if "text" in part and item.get("type") != "reasoning"]
    return words
