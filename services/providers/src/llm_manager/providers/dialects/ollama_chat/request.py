"""Writes Ollama's request bodies from neutral words."""

from __future__ import annotations

import base64
import re
from typing import Any

import msgspec

from llm_manager.core.errors import UnsupportedParameter
from llm_manager.core.facts import Facts
from llm_manager.core.messages import (
    ChatInput,
    EmbeddingsInput,
    Media,
    Message,
    Reasoning,
    ResponseFormat,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llm_manager.providers.dialects.estimate import characters_in
from llm_manager.providers.dialects.parameters import adapted, extension_table, sampling_table
from llm_manager.providers.dialects.port import UpstreamCall

# Any: JSON documents are built here
Json = dict[str, Any]
# What /api/chat wants beside `options`, not inside, and its name there.
_OUTSIDE = {
    "logprobs": "logprobs",
    "top_logprobs": "top_logprobs",
    "response_format": "format",
    "reasoning_effort": "think",
}
_THINKING = {"none": False, "minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high"}
_DATA_URL = re.compile(r"data:[^,]*;base64,(.*)", re.DOTALL)


def chat(facts: Facts, request: ChatInput, *, model: str, is_stream: bool) -> UpstreamCall:
    """Write a chat: sampling goes into `options` under Ollama's names."""
    sampling = sampling_table(request.sampling)
    if request.sampling.max_tokens is not None:
        sampling[facts.parameters.max_tokens] = request.sampling.max_tokens
    if request.tool_choice is not None:
        sampling.update(_tool_choice(request.tool_choice))
    if request.response_format is not None and request.response_format.kind != "text":
        sampling["response_format"] = _format(request.response_format)
    extension = adapted(facts, extension_table(facts, request.extension), unsupported=facts.parameters.unsupported)
    options = adapted(facts, sampling, unsupported=facts.parameters.unsupported)
    body: Json = {"model": model, "messages": _messages(facts, request), "stream": is_stream}
    for name, new_name in _OUTSIDE.items():
        if name in options:
            body[new_name] = options.pop(name)
    if "think" in body:
        body["think"] = _THINKING.get(str(body["think"]), body["think"])
    _add_extension(facts, extension, body, options)
    if options:
        body["options"] = options
    # Ollama knows no tool_choice; without the tools the model cannot call one, which is what "none" asks.
    is_allowed = request.tool_choice is None or request.tool_choice.mode != "none"
    if request.tools and is_allowed:
        body["tools"] = [_tool(tool) for tool in request.tools]
    return UpstreamCall(
        "POST",
        facts.paths.chat,
        msgspec.json.encode(body),
        lambda: characters_in([body["messages"], body.get("tools")]),
    )


def embeddings(facts: Facts, request: EmbeddingsInput, *, model: str) -> UpstreamCall:
    """Write a request for vectors."""
    extension = extension_table(facts, request.extension)
    body: Json = {"model": model, "input": list(request.texts)}
    options: Json = {}
    # What the client reads is decided at the edge; vectors travel as numbers.
    extension.pop("encoding_format", None)
    _add_extension(facts, extension, body, options)
    if request.dimensions is not None:
        body["dimensions"] = request.dimensions
    if options:
        body["options"] = options
    return UpstreamCall("POST", facts.paths.embeddings, msgspec.json.encode(body), lambda: sum(map(len, request.texts)))


def _add_extension(facts: Facts, extension: Json, body: Json, options: Json) -> None:
    for name, value in extension.items():
        if name == "options":
            options.update(msgspec.json.decode(value, type=dict[str, msgspec.Raw]))
        elif name in facts.parameters.options:
            options[name] = value
        else:
            body[name] = value


def _tool_choice(choice: ToolChoice) -> Json:
    table: Json = {}
    if choice.mode in ("required", "named"):
        table["tool_choice"] = choice.mode
    if choice.parallel is not None:
        table["parallel_tool_calls"] = choice.parallel
    return table


def _messages(facts: Facts, request: ChatInput) -> list[Json]:
    names = {part.id: part.name for message in request.messages for part in message.parts if isinstance(part, ToolCall)}
    return [written for message in request.messages for written in _turn(facts, message, names)]


def _turn(facts: Facts, message: Message, names: dict[str, str]) -> list[Json]:
    results: list[Json] = [
        # Ollama matches results by the name of the tool; newer versions read the id as well.
        {
            "role": "tool",
            "content": part.content,
            "tool_name": names.get(part.tool_call_id, ""),
            "tool_call_id": part.tool_call_id,
        }
        for part in message.parts
        if isinstance(part, ToolResult)
    ]
    rest = [part for part in message.parts if not isinstance(part, ToolResult)]
    if not rest and results:
        return results
    written: Json = {"role": message.role, "content": "".join(p.text for p in rest if isinstance(p, Text))}
    images = [_image(part) for part in rest if isinstance(part, Media)]
    if images:
        written["images"] = images
    calls = [part for part in rest if isinstance(part, ToolCall)]
    if calls:
        written["tool_calls"] = [_call(call) for call in calls]
    reasoning = "".join(part.text for part in rest if isinstance(part, Reasoning))
    if reasoning and facts.parameters.reasoning_input:
        written[facts.parameters.reasoning_input] = reasoning
    return [*results, written]


def _image(media: Media) -> str:
    if media.data is not None and (not media.mime_type or media.mime_type.startswith("image/")):
        return base64.b64encode(media.data).decode()
    if media.url is not None and (match := _DATA_URL.fullmatch(media.url)):
        return match.group(1)
    raise UnsupportedParameter(
        "Ollama takes pictures as data only; send a data URL (data:image/png;base64,…).", param="messages"
    )


def _call(call: ToolCall) -> Json:
    try:
        arguments = msgspec.json.decode(call.arguments or "{}")
    except msgspec.DecodeError:
        # A call that was cut is no JSON; the model sees what it wrote.
        arguments = {"text": call.arguments}
    if not isinstance(arguments, dict):
        arguments = {}
    return {"id": call.id, "function": {"name": call.name, "arguments": arguments}}


def _tool(tool: Tool) -> Json:
    function: Json = {
        "name": tool.name,
        "description": tool.description,
        "parameters": msgspec.Raw(tool.parameters or b'{"type":"object","properties":{}}'),
    }
    return {"type": "function", "function": function}


def _format(form: ResponseFormat) -> str | msgspec.Raw:
    return msgspec.Raw(form.schema) if form.kind == "json_schema" and form.schema else "json"
