"""A Responses request into neutral words; pure."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence

from msgspec import Raw

from llm_manager.core.errors import InvalidRequest, UnsupportedParameter
from llm_manager.core.messages import (
    CacheTtl,
    ChatInput,
    Media,
    Message,
    Part,
    Text,
    ToolResult,
)
from llm_manager.gateway.ingress.decoding import T, decode
from llm_manager.gateway.ingress.located import decode_at
from llm_manager.gateway.ingress.openai.parameters import cache_ttl
from llm_manager.gateway.ingress.responses import request as wire
from llm_manager.gateway.ingress.responses.compaction import summary_message
from llm_manager.gateway.ingress.responses.parameters import (
    extension_of_request,
    native_tools_of,
    response_format_of,
    sampling_of,
    tool_choice_of,
    tools_of,
)
from llm_manager.gateway.ingress.responses.turns import AssistantTurn, belongs_to_assistant

_DATA_URL = re.compile(r"data:(?P<mime>[^;,]*)(?:;[^;,]*)*?;base64,(?P<data>.*)", re.DOTALL | re.IGNORECASE)


def read_request(body: bytes) -> wire.ResponseRequest:
    """Read a body for translation.

    Raises:
        InvalidRequest: a field has the wrong type or value; `param` names it.
        UnsupportedParameter: only a provider that speaks the dialect itself can do what `param` asks.
    """
    request = decode(body, wire.ResponseRequest)
    for name, is_asked in (
        ("prompt", wire.is_given(request.prompt)),
        ("truncation", request.truncation == "auto"),
    ):
        if is_asked:
            raise UnsupportedParameter(
                f"{name} works only with a provider that speaks the Responses API itself; remove it.", param=name
            )
    return request


def chat_input(body: bytes) -> ChatInput:
    """Translate a body; the errors are those of `read_request`."""
    return chat_of(read_request(body), body)


def chat_of(request: wire.ResponseRequest, body: bytes) -> ChatInput:
    """Translate a body that is already read; the errors are those of `read_request`."""
    native = native_tools_of(request)
    return ChatInput(
        messages=messages_of(request),
        tools=tools_of(request),
        native_tools=native,
        tool_choice=tool_choice_of(request),
        response_format=response_format_of(request),
        sampling=sampling_of(request),
        extension=extension_of_request(request, body, has_native_tools=bool(native)),
    )


def messages_of(request: wire.ResponseRequest) -> tuple[Message, ...]:
    """Translate instructions and input.

    Raises:
        InvalidRequest: there is nothing to answer, or an item is malformed.
        UnsupportedParameter: an item that only its own provider understands.
    """
    messages: list[Message] = []
    if request.instructions:
        messages.append(Message(role="system", parts=(Text(text=request.instructions),)))
    if isinstance(request.input, str):
        messages.append(Message(role="user", parts=(Text(text=request.input),)))
    else:
        messages.extend(_messages(request.input or ()))
    if not messages:
        raise InvalidRequest("input is empty; send a text or at least one item.", param="input")
    return tuple(messages)


def _messages(items: Sequence[Raw]) -> list[Message]:
    messages: list[Message] = []
    turn = AssistantTurn()
    for number, raw in enumerate(items):
        path = f"input[{number}]"
        kind = decode_at(raw, wire.ItemKind, path=path)
        if belongs_to_assistant(kind):
            turn.add(kind, bytes(raw), _Reader(raw, path))
            continue
        messages += turn.ended()
        messages.append(_other(kind, raw, path))
    return messages + turn.ended()


class _Reader:
    __slots__ = ("_path", "_raw")

    def __init__(self, raw: Raw, path: str) -> None:
        self._raw = raw
        self._path = path

    def __call__(self, shape: type[T]) -> T:
        return decode_at(self._raw, shape, path=self._path)


def _other(kind: wire.ItemKind, raw: Raw, path: str) -> Message:
    match kind.name:
        case "message":
            return _said(decode_at(raw, wire.UserItem, path=path), path)
        case "function_call_output" | "custom_tool_call_output":
            return Message(role="tool", parts=(_tool_result(decode_at(raw, wire.CallOutputItem, path=path), path),))
        case "compaction" | "compaction_summary":
            return summary_message(decode_at(raw, wire.CompactionItem, path=path).encrypted_content, path=path)
        case "item_reference":
            raise InvalidRequest(
                f"{path} refers to {(kind.id or '')[:100]!r}, which is not stored here; send the item itself.",
                param=f"{path}.id",
            )
        case name:
            raise UnsupportedParameter(
                f"{path} is of type {name[:100]!r}, which only a provider that speaks the Responses API itself "
                "understands; leave it out.",
                param=f"{path}.type",
            )


def _said(item: wire.UserItem, path: str) -> Message:
    role = "user" if item.role == "user" else "system"
    if isinstance(item.content, str):
        return Message(role=role, parts=(Text(text=item.content),))
    parts = tuple(_part(part, f"{path}.content[{number}]") for number, part in enumerate(item.content))
    if not parts:
        raise InvalidRequest(f"{path}.content is empty; give it a part.", param=f"{path}.content")
    return Message(role=role, parts=parts)


def _tool_result(item: wire.CallOutputItem, path: str) -> ToolResult:
    name = item.name or ""
    if isinstance(item.output, str):
        return ToolResult(tool_call_id=item.call_id, parts=(Text(text=item.output),), name=name)
    parts = [_part(part, f"{path}.output[{number}]") for number, part in enumerate(item.output)]
    said = tuple(part for part in parts if isinstance(part, Text | Media))
    return ToolResult(tool_call_id=item.call_id, parts=said, name=name)


def _part(part: wire.UserPart, path: str) -> Part:
    match part:
        case wire.TextPart():
            return Text(text=part.text, cache_ttl=_kept(part))
        case wire.ImagePart():
            return _image(part, path)
        case wire.FilePart():
            return _file(part, path)
        case wire.AudioPart():
            audio = part.input_audio
            return Media(mime_type=f"audio/{audio.format}", data=_base64(audio.data, f"{path}.input_audio.data"))


def _image(part: wire.ImagePart, path: str) -> Media:
    detail, ttl = part.detail or "", _kept(part)
    if part.image_url is None:
        if not part.file_id:
            raise InvalidRequest(f"{path} names no picture; give image_url or file_id.", param=path)
        return Media(file_id=part.file_id, detail=detail, cache_ttl=ttl)
    if not part.image_url.startswith("data:"):
        return Media(url=part.image_url, detail=detail, cache_ttl=ttl)
    mime_type, data = _data_url(part.image_url, f"{path}.image_url")
    return Media(mime_type=mime_type, data=data, detail=detail, cache_ttl=ttl)


def _file(part: wire.FilePart, path: str) -> Media:
    filename, ttl = part.filename or "", _kept(part)
    if part.file_data is not None:
        mime_type, data = _data_url(part.file_data, f"{path}.file_data")
        return Media(mime_type=mime_type, data=data, filename=filename, cache_ttl=ttl)
    if part.file_url:
        return Media(url=part.file_url, filename=filename, cache_ttl=ttl)
    if not part.file_id:
        raise InvalidRequest(f"{path} names no file; give file_data, file_url or file_id.", param=path)
    return Media(file_id=part.file_id, filename=filename, cache_ttl=ttl)


def _kept(part: wire.TextPart | wire.ImagePart | wire.FilePart) -> CacheTtl:
    mark = part.prompt_cache_breakpoint
    if mark is not None:
        # OpenAI's terms are longer than any other provider's; the longest of theirs comes nearest
        return "5m" if mark.ttl is None else "1h"
    return cache_ttl(part.cache_control)


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
