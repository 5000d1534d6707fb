"""A chat in OpenAI's dialect into neutral words."""

from __future__ import annotations

import base64
import binascii
import re
from typing import assert_never

import msgspec
from msgspec import Raw

from llm_manager.core.errors import InvalidRequest, UnsupportedParameter
from llm_manager.core.messages import (
    ChatInput,
    Media,
    Message,
    Part,
    Reasoning,
    Refusal,
    ResponseFormat,
    Sampling,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from llm_manager.gateway.ingress.decoding import decode
from llm_manager.gateway.ingress.openai import chat_request as wire

# What the gateway itself acts on: it is not dropped, so it need not travel to a provider that has no word for it.
_CONSUMED = frozenset({"model", "stream", "stream_options", "user", "safety_identifier"})
# Values that ask for what happens anyway.
_DEFAULTS: dict[str, frozenset[bytes]] = {
    "store": frozenset({b"false"}),
    "modalities": frozenset({b'["text"]'}),
    "service_tier": frozenset({b'"auto"'}),
}
_LEGACY = {"functions": "tools", "function_call": "tool_choice"}
_DATA_URL = re.compile(r"data:(?P<mime>[^;,]*)(?:;[^;,]*)*?;base64,(?P<data>.*)", re.DOTALL | re.IGNORECASE)


def chat_input(body: bytes) -> ChatInput:
    """Translate a request body.

    Raises:
        InvalidRequest: a field has the wrong type or value; `param` names it.
        UnsupportedParameter: neutral words cannot say what `param` asks.
    """
    request = decode(body, wire.ChatRequest)
    return ChatInput(
        messages=tuple(_message(message, f"messages[{i}]") for i, message in enumerate(request.messages)),
        tools=tuple(_tool(tool.function) for tool in request.tools or ()),
        tool_choice=_tool_choice(request),
        response_format=_response_format(request.response_format),
        sampling=_sampling(request),
        extension=_extension(body),
    )


def _message(message: wire.AnyMessage, path: str) -> Message:
    name = message.name or ""
    match message:
        case wire.SystemMessage() | wire.DeveloperMessage():
            return Message(role="system", parts=_parts(message.content, path), name=name)
        case wire.UserMessage():
            return Message(role="user", parts=_parts(message.content, path), name=name)
        case wire.AssistantMessage():
            return Message(role="assistant", parts=_assistant_parts(message, path), name=name)
        case wire.ToolMessage():
            content = message.content if isinstance(message.content, str) else "".join(p.text for p in message.content)
            return Message(role="tool", parts=(ToolResult(tool_call_id=message.tool_call_id, content=content),))
        case _:
            assert_never(message)


def _assistant_parts(message: wire.AssistantMessage, path: str) -> tuple[Part, ...]:
    parts: list[Part] = []
    if reasoning := message.reasoning_content or message.reasoning:
        parts.append(Reasoning(text=reasoning))
    if message.content:
        parts.extend(_parts(message.content, path))
    if message.refusal:
        parts.append(Refusal(text=message.refusal))
    parts.extend(
        ToolCall(id=call.id, name=call.function.name, arguments=call.function.arguments)
        for call in message.tool_calls or ()
    )
    if not parts and message.content is None:
        raise InvalidRequest(f"{path} has neither content nor tool_calls; give one.", param=f"{path}.content")
    return tuple(parts) or (Text(text=""),)


def _parts(
    content: str | list[wire.TextPart] | list[wire.UserPart] | list[wire.TextPart | wire.RefusalPart], path: str
) -> tuple[Part, ...]:
    if isinstance(content, str):
        return (Text(text=content),)
    return tuple(_part(part, f"{path}.content[{i}]") for i, part in enumerate(content))


def _part(part: wire.UserPart | wire.RefusalPart, path: str) -> Part:
    match part:
        case wire.TextPart():
            return Text(text=part.text)
        case wire.RefusalPart():
            return Refusal(text=part.refusal)
        case wire.ImagePart():
            url, detail = part.image_url.url, part.image_url.detail or ""
            if not url.startswith("data:"):
                return Media(url=url, detail=detail)
            mime_type, data = _data_url(url, f"{path}.image_url.url")
            return Media(mime_type=mime_type, data=data, detail=detail)
        case wire.AudioPart():
            audio = part.input_audio
            data = _base64(audio.data, f"{path}.input_audio.data")
            return Media(mime_type=f"audio/{audio.format}", data=data)
        case wire.FilePart():
            return _file(part.file, f"{path}.file")
        case _:
            assert_never(part)


def _file(file: wire.FileData, path: str) -> Media:
    filename = file.filename or ""
    if file.file_data is not None:
        mime_type, data = _data_url(file.file_data, f"{path}.file_data")
        return Media(mime_type=mime_type, data=data, filename=filename)
    if not file.file_id:
        raise InvalidRequest(f"{path} names no file; give file_data or file_id.", param=path)
    return Media(file_id=file.file_id, filename=filename)


def _data_url(url: str, path: str) -> tuple[str, bytes]:
    match = _DATA_URL.fullmatch(url)
    if match is None:
        raise InvalidRequest(f"{path} is not of the form data:<type>;base64,<data>.", param=path)
    return match["mime"].lower(), _base64(match["data"], path)


def _base64(text: str, path: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest(f"{path} is not base64: {error}.", param=path) from error


def _tool(function: wire.Function) -> Tool:
    return Tool(
        name=function.name,
        description=function.description or "",
        parameters=_json(function.parameters),
        is_strict=function.strict,
    )


def _json(raw: Raw) -> bytes:
    return b"" if bytes(raw) == b"null" else bytes(raw)


def _tool_choice(request: wire.ChatRequest) -> ToolChoice | None:
    choice, parallel = request.tool_choice, request.parallel_tool_calls
    if choice is None:
        return None if parallel is None else ToolChoice(parallel=parallel)
    if isinstance(choice, wire.NamedToolChoice):
        return ToolChoice(mode="named", name=choice.function.name, parallel=parallel)
    return ToolChoice(mode=choice, parallel=parallel)


def _response_format(
    form: wire.TextFormat | wire.JsonObjectFormat | wire.JsonSchemaFormat | None,
) -> ResponseFormat | None:
    match form:
        case None:
            return None
        case wire.TextFormat():
            return ResponseFormat(kind="text")
        case wire.JsonObjectFormat():
            return ResponseFormat(kind="json_object")
        case wire.JsonSchemaFormat():
            schema = form.json_schema
            return ResponseFormat(
                kind="json_schema", name=schema.name, schema=_described(schema), is_strict=schema.strict
            )
        case _:
            assert_never(form)


def _described(form: wire.JsonSchema) -> bytes:
    """The schema, with the description where JSON Schema itself has a word for it."""
    schema, path = _json(form.schema), "response_format.json_schema.schema"
    if not schema:
        raise InvalidRequest(f"{path} is missing; it is required.", param=path)
    if form.description is None:
        return schema
    try:
        members = msgspec.json.decode(schema, type=dict[str, Raw])
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"{path} is not an object.", param=path) from error
    members.setdefault("description", Raw(msgspec.json.encode(form.description)))
    return msgspec.json.encode(members)


def _sampling(request: wire.ChatRequest) -> Sampling:
    old, new = request.max_tokens, request.max_completion_tokens
    if old is not None and new is not None and old != new:
        raise InvalidRequest(
            "max_tokens and max_completion_tokens differ; send only max_completion_tokens.", param="max_tokens"
        )
    stop = (request.stop,) if isinstance(request.stop, str) else tuple(request.stop or ())
    return Sampling(
        max_tokens=new if new is not None else old,
        temperature=request.temperature,
        top_p=request.top_p,
        top_k=request.top_k,
        presence_penalty=request.presence_penalty,
        frequency_penalty=request.frequency_penalty,
        seed=request.seed,
        stop=stop,
        n=request.n,
        logprobs=request.logprobs,
        top_logprobs=request.top_logprobs,
        reasoning_effort=request.reasoning_effort or "",
    )


def _extension(body: bytes) -> bytes:
    known = frozenset(wire.ChatRequest.__struct_fields__) | _CONSUMED
    rest: dict[str, Raw] = {}
    for name, value in msgspec.json.decode(body, type=dict[str, Raw]).items():
        text = bytes(value).strip()
        if name in known or text == b"null" or text.replace(b" ", b"") in _DEFAULTS.get(name, ()):
            continue
        if newer := _LEGACY.get(name):
            raise UnsupportedParameter(f"{name} is the old name of {newer}; send {newer} instead.", param=name)
        rest[name] = value
    return msgspec.json.encode(rest) if rest else b""


class _PromptText(msgspec.Struct):
    content: object = None


class _Prompt(msgspec.Struct):
    messages: list[_PromptText] = []
    input: object = None


def prompt_characters(body: bytes) -> int:
    """Count the characters of a prompt's texts; pictures and files are not counted. For estimates only."""
    try:
        prompt = msgspec.json.decode(body, type=_Prompt)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return len(body)
    return sum(_characters(message.content) for message in prompt.messages) + _characters(prompt.input)


def _characters(value: object) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return sum(_characters(item) for item in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] # JSON
    if isinstance(value, dict):
        return _characters(value.get("text"))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType] # JSON
    return 0
