"""Writes a conversation as Anthropic's `system` and `messages`."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from llm_manager.core.facts import Facts
from llm_manager.core.messages import (
    CacheTtl,
    ChatInput,
    Media,
    Message,
    OpaqueBlock,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)
from llm_manager.providers.dialects.anthropic_messages.blocks import DIALECT
from llm_manager.providers.dialects.anthropic_messages.events import TEXT, TOOL_USE
from llm_manager.providers.dialects.anthropic_messages.media import kept, media_block
from llm_manager.providers.dialects.json_values import Json
from llm_manager.providers.dialects.parts import media_in, without_detail, without_names
from llm_manager.providers.dialects.pointers import raw_table
from llm_manager.providers.dialects.policy import Policy

# Ids of calls that other providers made may hold more; the provider refuses what is not `^[a-zA-Z0-9_-]+$`.
_FORBIDDEN = re.compile(r"[^a-zA-Z0-9_-]")
_THOUGHTS = (b'"thinking"', b'"redacted_thinking"')
# Any: blocks are built here, or passed on as they came
Block = Any


class Turns:
    """Builds the turns of one conversation in order.

    What people and tools say between two turns of the assistant is one turn, and results come first in it: the
    provider wants them right behind their calls.
    """

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._system: list[Json] = []
        self._messages: list[Json] = []
        self._results: list[Json] = []
        self._said: list[Json] = []
        self._has_user = False

    @classmethod
    def of(cls, facts: Facts, request: ChatInput, *, policy: Policy) -> Json:
        """Return `system`, where there is one, and `messages`.

        Raises:
            UnsupportedParameter: a medium that the provider cannot take; or a name, or a detail of pictures, and the
                policy refuses.
        """
        without_names(request.messages, policy)
        without_detail(facts, media_in(request.messages), policy)
        turns = cls(facts)
        for message in request.messages:
            turns.add(message)
        turns.end_user()
        written: Json = {"system": turns._system} if turns._system else {}
        return {**written, "messages": turns._messages}

    def add(self, message: Message) -> None:
        """Write the next turn. All models have one place for what the system says, wherever it was said."""
        if message.role == "system":
            self._system += [block for part in message.parts if (block := self._block(part)) is not None]
        elif message.role == "assistant":
            if content := self._own_turn(message) or self._assistant(message):
                self.end_user()
                self._messages.append({"role": "assistant", "content": content})
        else:
            self._has_user = True
            self._results += [self._result(part) for part in message.parts if isinstance(part, ToolResult)]
            self._said += [block for part in message.parts if (block := self._block(part)) is not None]

    def end_user(self) -> None:
        """Write what people and tools said since the assistant spoke."""
        if self._has_user:
            # a turn without content is refused in the provider's own words
            content = [*self._results, *self._said] or [{"type": TEXT, "text": ""}]
            self._messages.append({"role": "user", "content": content})
        self._results, self._said, self._has_user = [], [], False

    def _own_turn(self, message: Message) -> list[Block]:
        """Return a turn that Anthropic wrote, byte for byte: signatures hold for what was signed only."""
        turn: list[Block] = [
            msgspec.Raw(part.json)
            for part in message.parts
            if isinstance(part, OpaqueBlock) and part.dialect == DIALECT
        ]
        # the hint stands on our neutral words for the turn, which are not sent
        hints: list[CacheTtl] = [
            part.cache_ttl for part in message.parts if isinstance(part, Text | Media | ToolCall) and part.cache_ttl
        ]
        return _kept_turn(turn, hints[-1]) if hints else turn

    def _assistant(self, message: Message) -> list[Block]:
        return [
            block
            for part in message.parts
            if (block := _call(part) if isinstance(part, ToolCall) else self._block(part)) is not None
        ]

    def _block(self, part: object) -> Json | None:
        match part:
            case Text(text=text, cache_ttl=ttl):
                return kept({"type": TEXT, "text": text}, ttl) if text else None
            case Refusal(text=text):
                return {"type": TEXT, "text": text} if text else None
            case Media():
                return kept(media_block(self._facts, part), part.cache_ttl)
            case _:
                # Calls and results stand apart; thoughts without a signature are refused, so they stay out.
                return None

    def _result(self, result: ToolResult) -> Json:
        block: Json = {"type": "tool_result", "tool_use_id": _id(result.tool_call_id)}
        content = [said for part in result.parts if (said := self._block(part)) is not None]
        if len(content) == 1 and not result.media:
            block["content"] = result.text
        elif content:
            block["content"] = content
        if result.is_error:
            block["is_error"] = True
        return kept(block, result.cache_ttl)


def _kept_turn(turn: list[Block], ttl: CacheTtl) -> list[Block]:
    """Put the hint that stood on the neutral parts on the last block that may hold one; thoughts may not."""
    for number in reversed(range(len(turn))):
        block = raw_table(turn[number])
        if bytes(block.get("type", b"")) in _THOUGHTS:
            continue
        marked = turn[number] if "cache_control" in block else kept(dict(block), ttl)
        return [*turn[:number], marked, *turn[number + 1 :]]
    return turn


def _call(call: ToolCall) -> Json:
    """Return a call; arguments that were cut are no object, so the model sees what it wrote."""
    arguments = call.arguments.strip()
    written: Block = {}
    if arguments not in ("", "null"):
        written = msgspec.Raw(arguments.encode()) if _is_object(arguments) else {"text": call.arguments}
    return kept({"type": TOOL_USE, "id": _id(call.id), "name": call.name, "input": written}, call.cache_ttl)


def _id(call_id: str) -> str:
    return _FORBIDDEN.sub("_", call_id) or "_"


def _is_object(text: str) -> bool:
    try:
        return isinstance(msgspec.json.decode(text), dict)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
