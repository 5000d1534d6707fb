"""Turns of a conversation in Cohere's dialect as those of OpenAI's.

What only Cohere says, the plan before tool calls and citations, travels on in a block of its own: the turn as it
came, which goes back to Cohere byte for byte and means nothing to anybody else (known-failures B-17, T-14).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Raw

from llm_manager.core.facts import Dialect
from llm_manager.gateway.ingress.cohere import request as wire
from llm_manager.gateway.ingress.openai import chat_request as openai

DIALECT: Dialect = "cohere_v2"
_EXTENSION = "provider_blocks"


class _Turns(msgspec.Struct, frozen=True):
    messages: list[Raw]


def messages_of(messages: Sequence[wire.AnyMessage], body: bytes) -> list[openai.AnyMessage]:
    """Return the turns in OpenAI's words.

    Args:
        body: the whole request, for the turns as they came.
    """
    came = msgspec.json.decode(body, type=_Turns).messages
    return [_turn(message, raw) for message, raw in zip(messages, came, strict=True)]


def _turn(message: wire.AnyMessage, came: Raw) -> openai.AnyMessage:
    match message:
        case wire.SystemMessage():
            return openai.SystemMessage(content=message.content)
        case wire.UserMessage():
            return openai.UserMessage(
                content=[*message.content] if isinstance(message.content, list) else message.content
            )
        case wire.AssistantMessage():
            return _assistant(message, came)
        case wire.ToolMessage():
            return openai.ToolMessage(tool_call_id=message.tool_call_id, content=_result(message.content))


def _assistant(message: wire.AssistantMessage, came: Raw) -> openai.AssistantMessage:
    parts = [openai.TextPart(text=message.content)] if isinstance(message.content, str) else message.content or []
    texts = [part for part in parts if isinstance(part, openai.TextPart) and part.text]
    # a plan is thought before a call: that is what it is to whoever does not plan
    thoughts = [part.thinking for part in parts if isinstance(part, wire.ThinkingPart)]
    thoughts += [message.tool_plan] if message.tool_plan else []
    blocks = message.provider_blocks or None
    if blocks is None and _is_own(message, parts):
        blocks = [openai.ProviderBlock(dialect=DIALECT, block=_without_extension(came))]
    return openai.AssistantMessage(
        content=None if message.content is None else [*texts],
        reasoning_content="\n".join(thoughts) or None,
        tool_calls=message.tool_calls,
        provider_blocks=blocks,
    )


def _without_extension(came: Raw) -> Raw:
    """The turn as it came, but for our own field, which Cohere would refuse."""
    if _EXTENSION.encode() not in bytes(came):
        return came
    members = msgspec.json.decode(came, type=dict[str, Raw])
    members.pop(_EXTENSION, None)
    return Raw(msgspec.json.encode(members))


def _is_own(message: wire.AssistantMessage, parts: Sequence[openai.TextPart | wire.ThinkingPart]) -> bool:
    """Whether neutral words do not say a turn whole: they have thoughts in front of the text only."""
    kinds = [isinstance(part, wire.ThinkingPart) for part in parts]
    return bool(message.tool_plan or message.citations) or kinds != sorted(kinds, reverse=True)


def _result(content: str | Sequence[openai.TextPart | wire.DocumentPart]) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part.text if isinstance(part, openai.TextPart) else _document(part.document) for part in content)


def _document(document: wire.Document) -> str:
    data = bytes(document.data).decode()
    return data if document.id is None else f'{{"id":{msgspec.json.encode(document.id).decode()},"data":{data}}}'
