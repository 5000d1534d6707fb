"""Writes a conversation as Cohere's `messages`."""

from __future__ import annotations

import base64
from fnmatch import fnmatchcase

import msgspec

from llm_manager.core.facts import Facts
from llm_manager.core.messages import (
    Media,
    Message,
    OpaqueBlock,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)
from llm_manager.providers.dialects.cohere_v2.reply import DIALECT, TEXT, THINKING
from llm_manager.providers.dialects.json_values import Json
from llm_manager.providers.dialects.parts import given_by, without_names
from llm_manager.providers.dialects.policy import Policy

_IMAGE = "image/"


def messages_of(facts: Facts, messages: tuple[Message, ...], *, model: str, policy: Policy) -> list[Json | msgspec.Raw]:
    """Return the turns in order.

    Raises:
        UnsupportedParameter: one holds what Cohere has no place for, and the policy refuses.
    """
    without_names(messages, policy)
    writer = _Writer(facts, policy, is_thinking=is_thinking(facts, model))
    return [written for message in messages for written in writer.turn(message)]


def is_thinking(facts: Facts, model: str) -> bool:
    """Return whether a model thinks: only those take thoughts back."""
    return any(fnmatchcase(model, pattern) for pattern in facts.parameters.reasoning_budget_models)


class _Writer:
    def __init__(self, facts: Facts, policy: Policy, *, is_thinking: bool) -> None:
        self._facts = facts
        self._policy = policy
        self._is_thinking = is_thinking

    def turn(self, message: Message) -> list[Json | msgspec.Raw]:
        """Return what one message becomes: results of tools are messages of their own."""
        if message.role == "assistant":
            return self._said(message)
        results: list[Json | msgspec.Raw] = [
            self._result(part) for part in message.parts if isinstance(part, ToolResult)
        ]
        content = [block for part in message.parts for block in self._block(part)]
        if not content and results:
            return results
        role = "user" if message.role == "tool" else message.role
        return [*results, {"role": role, "content": _plain(content)}]

    def _said(self, message: Message) -> list[Json | msgspec.Raw]:
        own = [part for part in message.parts if isinstance(part, OpaqueBlock) and part.dialect == DIALECT]
        if own:
            # the whole turn as Cohere wrote it
            return [msgspec.Raw(block.json) for block in own]
        written: Json = {"role": "assistant"}
        if content := [block for part in message.parts for block in self._block(part)]:
            written["content"] = _plain(content)
        if calls := [_call(part) for part in message.parts if isinstance(part, ToolCall)]:
            written["tool_calls"] = calls
        return [written] if len(written) > 1 else []

    def _block(self, part: object) -> list[Json]:
        match part:
            case Text(text=text) | Refusal(text=text):
                return [{"type": TEXT, "text": text}] if text else []
            case Reasoning(text=text):
                return [{"type": THINKING, "thinking": text}] if text and self._is_thinking else []
            case Media():
                return self._picture(part)
            case _:
                # calls and results stand apart; blocks of other providers mean nothing here
                return []

    def _picture(self, media: Media) -> list[Json]:
        is_picture = media.mime_type.startswith(_IMAGE) or (media.url is not None and not media.mime_type)
        if media.file_id is not None or not is_picture:
            hint = f"it takes no files and no {media.mime_type}; send text or pictures"
            self._policy.unsupported(self._facts, "messages", hint=hint)
            return []
        picture: Json = {"url": media.url or _data_url(media)}
        if media.detail:
            picture["detail"] = media.detail
        return [{"type": "image_url", "image_url": picture}]

    def _result(self, result: ToolResult) -> Json:
        if result.media:
            self._policy.unsupported(self._facts, "messages", hint="its tool results are text; send the rest by a user")
        texts = [part.text for part in given_by(result) if isinstance(part, Text)]
        content: str | list[Json] = [{"type": TEXT, "text": text} for text in texts]
        if len(texts) <= 1:
            content = "".join(texts)
        return {"role": "tool", "tool_call_id": result.tool_call_id, "content": content}


def _plain(content: list[Json]) -> str | list[Json]:
    """Return one text as text; several stay apart, which every role takes (recordings, cohere-chat-0e332ec590)."""
    if not content:
        return ""
    first = content[0]
    return first["text"] if len(content) == 1 and first["type"] == TEXT else content


def _call(call: ToolCall) -> Json:
    arguments = call.arguments.strip() or "{}"
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _data_url(media: Media) -> str:
    return f"data:{media.mime_type};base64,{base64.b64encode(media.data or b'').decode()}"
