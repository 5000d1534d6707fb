"""Writes a conversation as Ollama's `messages`."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence

import msgspec

from llm_manager.core.facts import Facts
from llm_manager.core.messages import (
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
from llm_manager.providers.dialects.json_values import Json
from llm_manager.providers.dialects.parts import media_in, text_given_by, without_detail, without_names
from llm_manager.providers.dialects.policy import Policy

DIALECT = "ollama_chat"
_DATA_URL = re.compile(r"data:(?P<mime>[^;,]*)[^,]*;base64,(?P<data>.*)", re.DOTALL | re.IGNORECASE)
_IMAGE = "image/"


def messages_of(facts: Facts, messages: Sequence[Message], *, policy: Policy) -> list[Json | msgspec.Raw]:
    """Return the turns in order.

    Raises:
        UnsupportedParameter: one holds what Ollama has no place for, and the policy refuses.
    """
    without_names(messages, policy)
    without_detail(facts, media_in(messages), policy)
    # Servers that number calls by turn use an id again, so a result belongs to the last call of its id before it.
    names: dict[str, str] = {}
    written: list[Json | msgspec.Raw] = []
    for message in _in_order_of_calls(messages):
        names |= {part.id: part.name for part in message.parts if isinstance(part, ToolCall)}
        written += _turn(facts, message, names, policy)
    return written


def _in_order_of_calls(messages: Sequence[Message]) -> list[Message]:
    """Return the same turns, with the results of each turn of calls right behind it and in the order of its calls.

    Templates show results without an id, so of two calls of one tool only the order says which result is whose; some
    show no result that stands apart from its turn, and no picture in one (ollama/ollama, model/renderers/qwen3vl.go
    and gemma4.go, read on 2026-11-29).
    """
    ordered: list[Message] = []
    waiting: list[Message] = []
    calls: list[str] = []
    for message in messages:
        if message.role == "assistant":
            ordered += _results_first(waiting, calls)
            ordered.append(message)
            waiting = []
            calls = [part.id for part in message.parts if isinstance(part, ToolCall)]
        else:
            waiting.append(message)
    return ordered + _results_first(waiting, calls)


def _results_first(messages: list[Message], calls: Sequence[str]) -> list[Message]:
    """Return the results, the pictures in them as shown by a user, and everything else in its order.

    A result that belongs to none of the calls leaves all where it is.
    """
    results = [part for message in messages for part in message.parts if isinstance(part, ToolResult)]
    places = {call: place for place, call in enumerate(calls)}
    if not results or any(result.tool_call_id not in places for result in results):
        return messages
    results.sort(key=lambda result: places[result.tool_call_id])
    texts = tuple(
        msgspec.structs.replace(result, parts=tuple(part for part in result.parts if isinstance(part, Text)))
        for result in results
    )
    pictures = tuple(medium for result in results for medium in result.media)
    shown = [Message(role="user", parts=pictures)] if pictures else []
    return [Message(role="tool", parts=texts), *shown, *_without_results(messages)]


def _without_results(messages: Sequence[Message]) -> Iterator[Message]:
    for message in messages:
        rest = tuple(part for part in message.parts if not isinstance(part, ToolResult))
        if rest or not message.parts:
            yield msgspec.structs.replace(message, parts=rest)


def _turn(facts: Facts, message: Message, names: dict[str, str], policy: Policy) -> list[Json | msgspec.Raw]:
    own = [part for part in message.parts if isinstance(part, OpaqueBlock) and part.dialect == DIALECT]
    if own and message.role == "assistant":
        # the whole turn as Ollama wrote it
        return [msgspec.Raw(block.json) for block in own]
    results: list[Json | msgspec.Raw] = [
        _result(facts, part, names, policy) for part in message.parts if isinstance(part, ToolResult)
    ]
    rest = [part for part in message.parts if not isinstance(part, ToolResult)]
    if not rest and results:
        return results
    role = "user" if message.role == "tool" else message.role
    # What a model said may have been cut anywhere, as for its citations; what others write are pieces of their own.
    written: Json = {"role": role, "content": _text(rest, is_one=role == "assistant")}
    images = _images(facts, [part for part in rest if isinstance(part, Media)], policy)
    if images:
        written["images"] = images
    calls = [part for part in rest if isinstance(part, ToolCall)]
    if calls:
        written["tool_calls"] = [_call(call) for call in calls]
    reasoning = "".join(part.text for part in rest if isinstance(part, Reasoning))
    if reasoning and facts.parameters.reasoning_input:
        written[facts.parameters.reasoning_input] = reasoning
    return [*results, written]


def _text(parts: Sequence[Part], *, is_one: bool) -> str:
    """Return the visible text; a refusal is what the model said, and Ollama has no other place for it.

    Args:
        is_one: texts that follow each other are one text that was cut.
    """
    texts: list[str] = []
    has_picture = False
    for part in parts:
        if isinstance(part, Text | Refusal) and part.text:
            left = texts[-1] if texts else ""
            texts += (_between(left, part.text, is_one=is_one, has_picture=has_picture), part.text)
            has_picture = False
        has_picture = has_picture or isinstance(part, Media)
    return "".join(texts)


def _between(left: str, right: str, *, is_one: bool, has_picture: bool) -> str:
    """Return what keeps two texts apart; pictures stand beside the text, so that a line ends where one was."""
    if not left or (is_one and not has_picture):
        return ""
    is_apart = left.endswith("\n") if has_picture else left[-1].isspace() or right[0].isspace()
    return "" if is_apart else "\n"


def _result(facts: Facts, result: ToolResult, names: dict[str, str], policy: Policy) -> Json:
    written: Json = {
        "role": "tool",
        "content": text_given_by(result),
        # Ollama matches results by the name of the tool; newer versions read the id as well.
        "tool_name": names.get(result.tool_call_id) or result.name,
        "tool_call_id": result.tool_call_id,
    }
    images = _images(facts, result.media, policy)
    return {**written, "images": images} if images else written


def _images(facts: Facts, media: Sequence[Media], policy: Policy) -> list[str]:
    return [image for medium in media if (image := _image(facts, medium, policy)) is not None]


def _image(facts: Facts, media: Media, policy: Policy) -> str | None:
    if media.data is not None and (not media.mime_type or media.mime_type.startswith(_IMAGE)):
        return base64.b64encode(media.data).decode()
    match = _DATA_URL.fullmatch(media.url) if media.url is not None else None
    if match and (not match["mime"] or match["mime"].lower().startswith(_IMAGE)):
        return match["data"]
    hint = "it takes pictures as data only; send a data URL (data:image/png;base64,…)"
    policy.unsupported(facts, "messages", hint=hint)
    return None


def _call(call: ToolCall) -> Json:
    """Return a call; arguments that were cut are no object, so the model sees what it wrote."""
    arguments: Json | msgspec.Raw = {}
    if call.arguments.strip() not in ("", "null"):
        is_object = _is_object(call.arguments)
        arguments = msgspec.Raw(call.arguments.encode()) if is_object else {"text": call.arguments}
    return {"id": call.id, "function": {"name": call.name, "arguments": arguments}}


def _is_object(text: str) -> bool:
    try:
        return isinstance(msgspec.json.decode(text), dict)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
