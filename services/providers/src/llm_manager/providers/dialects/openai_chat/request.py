"""Writes OpenAI's request bodies, from a client's own body or from neutral words."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from llm_manager.core.errors import InvalidRequest
from llm_manager.core.facts import Facts
from llm_manager.core.messages import (
    ChatInput,
    EmbeddingsInput,
    Media,
    Message,
    OpaqueBlock,
    Part,
    Reasoning,
    Refusal,
    ResponseFormat,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llm_manager.providers.dialects.estimate import characters_in
from llm_manager.providers.dialects.parameters import adapted, extension_table, object_fields, sampling_table
from llm_manager.providers.dialects.port import UpstreamCall

# Any: JSON documents are built here
Json = dict[str, Any]
_TRUE = msgspec.Raw(b"true")
DIALECT = "openai_chat"


def native_chat(facts: Facts, body: bytes, *, model: str, is_stream: bool) -> UpstreamCall:
    """Write a chat that came in this dialect: model and stream are replaced, unknown fields stay as they are."""
    fields = adapted(facts, object_fields(body), unsupported=facts.parameters.unsupported)
    fields["model"] = model
    options = fields.pop("stream_options", None)
    fields.pop("stream", None)
    if is_stream:
        fields["stream"] = True
        if facts.stream.asks_usage:
            fields["stream_options"] = _with_usage(options)
    return UpstreamCall("POST", facts.paths.chat, msgspec.json.encode(fields), _prompt_of(fields))


def native_embeddings(facts: Facts, body: bytes, *, model: str) -> UpstreamCall:
    """Write a request for vectors that came in this dialect."""
    fields = adapted(facts, object_fields(body), unsupported=facts.parameters.embeddings_unsupported)
    fields["model"] = model
    return UpstreamCall("POST", facts.paths.embeddings, msgspec.json.encode(fields), _prompt_of(fields))


def neutral_embeddings(facts: Facts, request: EmbeddingsInput, *, model: str) -> UpstreamCall:
    """Write a request for vectors."""
    table: Json = {"dimensions": request.dimensions} if request.dimensions is not None else {}
    table.update(extension_table(facts, request.extension))
    body = {
        "model": model,
        "input": list(request.texts),
        **adapted(facts, table, unsupported=facts.parameters.embeddings_unsupported),
    }
    return UpstreamCall("POST", facts.paths.embeddings, msgspec.json.encode(body), lambda: sum(map(len, request.texts)))


def neutral_chat(facts: Facts, request: ChatInput, *, model: str, is_stream: bool) -> UpstreamCall:
    """Write a chat from neutral words."""
    table = sampling_table(request.sampling)
    if request.sampling.max_tokens is not None:
        table[facts.parameters.max_tokens] = request.sampling.max_tokens
    if request.tools:
        table["tools"] = [_tool(tool) for tool in request.tools]
    if request.tool_choice is not None:
        table["tool_choice"] = _tool_choice(request.tool_choice)
        if request.tool_choice.parallel is not None:
            table["parallel_tool_calls"] = request.tool_choice.parallel
    if request.response_format is not None:
        table["response_format"] = _response_format(request.response_format)
    table.update(extension_table(facts, request.extension))
    messages = [written for message in request.messages for written in _messages(facts, message)]
    body: Json = {
        "model": model,
        "messages": messages,
        **adapted(facts, table, unsupported=facts.parameters.unsupported),
    }
    if is_stream:
        body["stream"] = True
        if facts.stream.asks_usage:
            body["stream_options"] = {"include_usage": True}
    return UpstreamCall(
        "POST", facts.paths.chat, msgspec.json.encode(body), lambda: characters_in([messages, table.get("tools")])
    )


def _with_usage(options: msgspec.Raw | None) -> Json:
    """Ask for usage always: the client's wish decides only what it is shown (wire.md section 1)."""
    fields = {} if options is None or bytes(options) == b"null" else object_fields(bytes(options))
    return {**fields, "include_usage": _TRUE}


def _prompt_of(fields: Json) -> Callable[[], int]:
    def count() -> int:
        asked = [fields[name] for name in ("messages", "tools", "input", "response_format") if name in fields]
        return sum(characters_in(msgspec.json.decode(value)) for value in asked if isinstance(value, msgspec.Raw))

    return count


def _messages(facts: Facts, message: Message) -> list[Json]:
    """Return one neutral turn as messages: each tool result is a message of its own."""
    results: list[Json] = [
        {"role": "tool", "tool_call_id": part.tool_call_id, "content": part.content}
        for part in message.parts
        if isinstance(part, ToolResult)
    ]
    rest = [part for part in message.parts if not isinstance(part, ToolResult)]
    if not rest and results:
        return results
    written: Json = {"role": message.role, "content": _content(rest)}
    if message.name:
        written["name"] = message.name
    calls = [part for part in rest if isinstance(part, ToolCall)]
    if calls:
        written["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in calls
        ]
    refusal = "".join(part.text for part in rest if isinstance(part, Refusal))
    if refusal:
        written["refusal"] = refusal
    reasoning = "".join(part.text for part in rest if isinstance(part, Reasoning))
    if reasoning and facts.parameters.reasoning_input:
        written[facts.parameters.reasoning_input] = reasoning
    return [*results, written]


def _content(parts: Sequence[Part]) -> str | list[Any] | None:
    shown = [part for part in parts if isinstance(part, Text | Media | OpaqueBlock)]
    if not shown:
        return None
    if all(isinstance(part, Text) for part in shown):
        return "".join(part.text for part in shown if isinstance(part, Text))
    return [block for part in shown if (block := _block(part)) is not None]


def _block(part: Part) -> Json | msgspec.Raw | None:
    match part:
        case Text():
            return {"type": "text", "text": part.text}
        case Media():
            return _media(part)
        case OpaqueBlock(dialect=dialect, json=json):
            # Blocks of other dialects mean nothing here; they return to their own provider only.
            return msgspec.Raw(json) if dialect == DIALECT else None
        case _:
            return None


def _media(media: Media) -> Json:
    if media.mime_type.startswith("audio/"):
        if media.data is None:
            raise InvalidRequest("Audio must be sent as data, not as an address.", param="messages")
        data = base64.b64encode(media.data).decode()
        form = media.mime_type.removeprefix("audio/").removeprefix("x-")
        return {"type": "input_audio", "input_audio": {"data": data, "format": {"mpeg": "mp3"}.get(form, form)}}
    if media.file_id is not None:
        return {"type": "file", "file": {"file_id": media.file_id}}
    if media.url is not None or media.mime_type.startswith("image/"):
        image: Json = {"url": media.url or data_url(media)}
        if media.detail:
            image["detail"] = media.detail
        return {"type": "image_url", "image_url": image}
    return {"type": "file", "file": {"filename": media.filename or "document", "file_data": data_url(media)}}


def data_url(media: Media) -> str:
    """Return the bytes of a medium as a data URL."""
    data = base64.b64encode(media.data or b"").decode()
    return f"data:{media.mime_type or 'application/octet-stream'};base64,{data}"


def _tool(tool: Tool) -> Json:
    function: Json = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    if tool.parameters:
        function["parameters"] = msgspec.Raw(tool.parameters)
    if tool.is_strict is not None:
        function["strict"] = tool.is_strict
    return {"type": "function", "function": function}


def _tool_choice(choice: ToolChoice) -> str | Json:
    if choice.mode == "named":
        return {"type": "function", "function": {"name": choice.name}}
    return choice.mode


def _response_format(form: ResponseFormat) -> Json:
    if form.kind != "json_schema":
        return {"type": form.kind}
    schema: Json = {"name": form.name or "answer", "schema": msgspec.Raw(form.schema or b"{}")}
    if form.is_strict is not None:
        schema["strict"] = form.is_strict
    return {"type": "json_schema", "json_schema": schema}
