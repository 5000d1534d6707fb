"""A chat in OpenAI's dialect into neutral words."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from typing import assert_never

import msgspec

from llm_manager.core.errors import InvalidRequest
from llm_manager.core.messages import (
    ChatInput,
    Media,
    Message,
    OpaqueBlock,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)
from llm_manager.gateway.ingress.decoding import decode
from llm_manager.gateway.ingress.openai import chat_request as wire
from llm_manager.gateway.ingress.openai.extension import extension_of
from llm_manager.gateway.ingress.openai.parameters import (
    cache_ttl,
    response_format_of,
    sampling_of,
    tool_choice_of,
    tools_of,
)

_KNOWN = frozenset(wire.ChatRequest.__struct_fields__)
_DATA_URL = re.compile(r"data:(?P<mime>[^;,]*)(?:;[^;,]*)*?;base64,(?P<data>.*)", re.DOTALL | re.IGNORECASE)


def chat_input(body: bytes) -> ChatInput:
    """Translate a request body.

    Raises:
        InvalidRequest: a field has the wrong type or value; `param` names it.
        UnsupportedParameter: neutral words cannot say what `param` asks.
    """
    request = decode(body, wire.ChatRequest)
    known = _KNOWN
    if request.thinking is not None and request.thinking.type == "adaptive":
        # how much to think is up to the model: a provider that knows it takes the words as they are
        known = _KNOWN - {"thinking"}
    return chat_of(request.messages, request, extension=extension_of(body, known=known))


def chat_of(messages: Sequence[wire.AnyMessage], parameters: wire.ChatParameters, *, extension: bytes) -> ChatInput:
    """Translate messages and parameters that are already read; the errors are those of `chat_input`."""
    return ChatInput(
        messages=_messages(messages),
        tools=tools_of(parameters),
        tool_choice=tool_choice_of(parameters),
        response_format=response_format_of(parameters),
        sampling=sampling_of(parameters),
        extension=extension,
    )


def _messages(messages: Sequence[wire.AnyMessage]) -> tuple[Message, ...]:
    calls = _FunctionCalls()
    return tuple(_message(message, f"messages[{i}]", calls) for i, message in enumerate(messages))


class _FunctionCalls:
    """Ids for the calls of the time before there were tools, when a function's answer named only the function."""

    def __init__(self) -> None:
        self._open: dict[str, str] = {}
        self._count = 0

    def called(self, name: str) -> str:
        """Return an id for the next call."""
        self._count += 1
        self._open[name] = f"call_{self._count}"
        return self._open[name]

    def answered(self, name: str, path: str) -> str:
        """Return the id of the call that a message answers.

        Raises:
            InvalidRequest: nobody called the function.
        """
        if name not in self._open:
            raise InvalidRequest(
                f"{path} answers {name[:100]!r}, which no function_call before it has called.", param=f"{path}.name"
            )
        return self._open.pop(name)


def _message(message: wire.AnyMessage, path: str, calls: _FunctionCalls) -> Message:
    name = message.name or ""
    match message:
        case wire.SystemMessage() | wire.DeveloperMessage():
            return Message(role="system", parts=_kept(_parts(message.content, path), message.cache_control), name=name)
        case wire.UserMessage():
            return Message(role="user", parts=_kept(_parts(message.content, path), message.cache_control), name=name)
        case wire.AssistantMessage():
            parts = _kept(_assistant_parts(message, path, calls), message.cache_control)
            return Message(role="assistant", parts=parts, name=name)
        case wire.ToolMessage():
            return Message(role="tool", parts=(_tool_result(message, path),))
        case wire.FunctionMessage():
            call_id = calls.answered(message.name, path)
            said = (Text(text=message.content),) if message.content else ()
            result = ToolResult(tool_call_id=call_id, parts=said, name=message.name)
            return Message(role="tool", parts=(result,))
        case _:
            assert_never(message)


def _kept(parts: tuple[Part, ...], control: wire.CacheControl | None) -> tuple[Part, ...]:
    """Put a message's own cache hint on the last of its parts that can carry one."""
    for number in reversed(range(len(parts)) if control is not None else ()):
        part = parts[number]
        if isinstance(part, Text | Media | ToolCall):
            ttl = part.cache_ttl or cache_ttl(control)
            return (*parts[:number], msgspec.structs.replace(part, cache_ttl=ttl), *parts[number + 1 :])
    return parts


def _tool_result(message: wire.ToolMessage, path: str) -> ToolResult:
    parts = _parts(message.content, path)
    controls = () if isinstance(message.content, str) else (part.cache_control for part in reversed(message.content))
    return ToolResult(
        tool_call_id=message.tool_call_id,
        # the hint to keep them stands on the result as a whole
        parts=tuple(msgspec.structs.replace(part, cache_ttl="") for part in parts if isinstance(part, Text | Media)),
        name=message.name or "",
        cache_ttl=cache_ttl(message.cache_control, *controls),
    )


def _assistant_parts(message: wire.AssistantMessage, path: str, calls: _FunctionCalls) -> tuple[Part, ...]:
    parts: list[Part] = []
    if reasoning := message.reasoning_content or message.reasoning:
        parts.append(Reasoning(text=reasoning))
    if message.content:
        parts.extend(_parts(message.content, path))
    if message.refusal:
        parts.append(Refusal(text=message.refusal))
    if (function := message.function_call) is not None:
        parts.append(ToolCall(id=calls.called(function.name), name=function.name, arguments=function.arguments))
    parts.extend(
        ToolCall(id=call.id, name=call.function.name, arguments=call.function.arguments)
        for call in message.tool_calls or ()
    )
    parts.extend(OpaqueBlock(dialect=block.dialect, json=bytes(block.block)) for block in message.provider_blocks or ())
    if not parts and message.content is None:
        raise InvalidRequest(f"{path} has neither content nor tool_calls; give one.", param=f"{path}.content")
    return tuple(parts) or (Text(text=""),)


def _parts(content: str | Sequence[wire.UserPart | wire.RefusalPart], path: str) -> tuple[Part, ...]:
    if isinstance(content, str):
        return (Text(text=content),)
    return tuple(_part(part, f"{path}.content[{i}]") for i, part in enumerate(content))


def _part(part: wire.UserPart | wire.RefusalPart, path: str) -> Part:
    match part:
        case wire.TextPart():
            return Text(text=part.text, cache_ttl=cache_ttl(part.cache_control))
        case wire.RefusalPart():
            return Refusal(text=part.refusal)
        case wire.ImagePart():
            return _image(part, f"{path}.image_url.url")
        case wire.AudioPart():
            audio = part.input_audio
            data = _base64(audio.data, f"{path}.input_audio.data")
            return Media(mime_type=f"audio/{audio.format}", data=data, cache_ttl=cache_ttl(part.cache_control))
        case wire.FilePart():
            return _file(part, f"{path}.file")
        case _:
            assert_never(part)


def _image(part: wire.ImagePart, path: str) -> Media:
    url, detail, ttl = part.image_url.url, part.image_url.detail or "", cache_ttl(part.cache_control)
    if not url.startswith("data:"):
        return Media(url=url, detail=detail, cache_ttl=ttl)
    mime_type, data = _data_url(url, path)
    return Media(mime_type=mime_type, data=data, detail=detail, cache_ttl=ttl)


def _file(part: wire.FilePart, path: str) -> Media:
    file, ttl = part.file, cache_ttl(part.cache_control)
    filename = file.filename or ""
    if file.file_data is not None:
        mime_type, data = _data_url(file.file_data, f"{path}.file_data")
        return Media(mime_type=mime_type, data=data, filename=filename, cache_ttl=ttl)
    if not file.file_id:
        raise InvalidRequest(f"{path} names no file; give file_data or file_id.", param=path)
    return Media(file_id=file.file_id, filename=filename, cache_ttl=ttl)


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
