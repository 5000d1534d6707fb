"""What clients of Gemini really asked for: said in neutral words, or refused by the name of what cannot be said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

import pytest

from llm_manager.core.errors import InvalidRequest
from llm_manager.core.messages import ChatInput, Media, OpaqueBlock, Reasoning, Text, ToolCall, ToolResult
from llm_manager.gateway.ingress.gemini.embeddings import batch_input, embed_input
from llm_manager.gateway.ingress.gemini.translation import chat_input, count_input
from llm_manager.testing.recordings import Recording, load, why_absent

pytestmark = pytest.mark.skipif(why_absent() is not None, reason=str(why_absent()))

Json = dict[str, Any]
# Recordings that ask for what has no neutral words, and the field that the refusal names.
REFUSED = {
    "gemini-chat-10a64a7ef0": "toolConfig.includeServerSideToolInvocations",
    "gemini-chat-2b7e4c9903": "toolConfig.includeServerSideToolInvocations",
}


def _asked(*operations: str) -> list[Recording]:
    return [item for item in load(providers=("gemini",), operations=operations) if item.request is not None]


def _translated(recording: Recording) -> ChatInput | InvalidRequest:
    body = json.dumps(recording.request).encode()
    try:
        return chat_input(body) if recording.operation == "chat" else count_input(body).chat
    except InvalidRequest as error:
        return error


def _either(value: Json, camel: str, snake: str) -> Any:
    return value.get(camel) if value.get(camel) is not None else value.get(snake)


def _listed(value: Any) -> list[Any]:
    if not value:
        return []
    return cast("list[Any]", value) if isinstance(value, list) else [value]


def _parts_of(asked: Json) -> Iterator[tuple[str, Json]]:
    system: Json = _either(asked, "systemInstruction", "system_instruction") or {}
    yield from (("system", part) for part in _listed(system.get("parts")))
    for content in _listed(asked["contents"]):
        yield from ((content.get("role") or "user", part) for part in _listed(content.get("parts")))


@pytest.mark.requirement("S23", "B-14", "B-15", "T-14")
@pytest.mark.parametrize("recording", _asked("chat", "count_tokens"), ids=lambda item: item.id)
def test_every_recorded_request_is_translated_or_refused_by_name(recording: Recording) -> None:
    chat = _translated(recording)
    if isinstance(chat, InvalidRequest):
        assert (chat.code, chat.param) == ("unsupported_parameter", REFUSED[recording.id])
        return
    assert recording.id not in REFUSED
    asked: Json = recording.request.get("generateContentRequest") or recording.request
    parts = [part for message in chat.messages for part in message.parts]
    came = list(_parts_of(asked))
    words = [part["text"] for _, part in came if part.get("text")]
    assert [part.text for part in parts if isinstance(part, Text | Reasoning) and part.text] == words
    calls = [call for _, part in came if (call := _either(part, "functionCall", "function_call"))]
    assert [(part.name, json.loads(part.arguments)) for part in parts if isinstance(part, ToolCall)] == [
        (call["name"], call.get("args") or {}) for call in calls
    ]
    results = [one for _, part in came if (one := _either(part, "functionResponse", "function_response"))]
    assert [part.name for part in parts if isinstance(part, ToolResult)] == [result["name"] for result in results]
    media = [part for _, part in came if {"inlineData", "inline_data", "fileData", "file_data"} & part.keys()]
    assert len([part for part in parts if isinstance(part, Media)]) == len(media)
    signed = [part for _, part in came if _either(part, "thoughtSignature", "thought_signature")]
    kept = [json.loads(part.json) for part in parts if isinstance(part, OpaqueBlock)]
    assert [part for part in kept if part in signed] == signed


def _config(asked: Json) -> Json:
    return _either(asked, "generationConfig", "generation_config") or {}


@pytest.mark.requirement("B-15", "P-18")
@pytest.mark.parametrize("recording", _asked("chat"), ids=lambda item: item.id)
def test_no_recorded_parameter_and_no_tool_is_lost(recording: Recording) -> None:
    chat = _translated(recording)
    if isinstance(chat, InvalidRequest):
        return
    config, sampling = _config(recording.request), chat.sampling
    stop = tuple(_either(config, "stopSequences", "stop_sequences") or ())
    assert (sampling.max_tokens, sampling.temperature, sampling.top_p, sampling.seed, sampling.stop) == (
        config.get("maxOutputTokens"),
        config.get("temperature"),
        config.get("topP"),
        config.get("seed"),
        stop,
    )
    tools = _listed(recording.request.get("tools"))
    functions = [one for tool in tools for one in _either(tool, "functionDeclarations", "function_declarations") or ()]
    tool_config: Json = recording.request.get("toolConfig") or {}
    choice: Json = tool_config.get("functionCallingConfig") or {}
    assert [tool.name for tool in chat.tools] == [function["name"] for function in functions]
    allowed = _either(choice, "allowedFunctionNames", "allowed_function_names")
    assert (chat.tool_choice.name if chat.tool_choice else "") == (allowed[0] if allowed else "")
    native = {name for block in chat.native_tools for name in json.loads(block.json)}
    said = {name for tool in tools for name, value in tool.items() if value is not None}
    assert native == said - {"functionDeclarations", "function_declarations"}


@pytest.mark.requirement("S34", "B-14")
@pytest.mark.parametrize("recording", _asked("embeddings"), ids=lambda item: item.id)
def test_every_recorded_request_for_vectors_is_translated(recording: Recording) -> None:
    asked: Json = recording.request
    body = json.dumps(asked).encode()
    wanted = batch_input(body) if "requests" in asked else embed_input(body)
    each = asked.get("requests") or [asked]
    assert wanted.texts == tuple("\n".join(part["text"] for part in one["content"]["parts"]) for one in each)
    assert wanted.dimensions == _either(each[0], "outputDimensionality", "output_dimensionality")
    assert bool(wanted.purpose or wanted.extension) == bool(_either(each[0], "taskType", "task_type"))
