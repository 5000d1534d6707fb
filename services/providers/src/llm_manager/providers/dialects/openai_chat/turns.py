"""Writes a conversation as OpenAI's `messages`."""

from __future__ import annotations

from collections.abc import Sequence

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
from llm_manager.providers.dialects.openai_chat.media import kept, media_part
from llm_manager.providers.dialects.parts import given_by, without_names
from llm_manager.providers.dialects.policy import Policy

DIALECT = "openai_chat"


class Turns:
    """Builds the messages of one conversation in order.

    What a provider does differently stands in its facts: `renamed` may name `cache_ttl` (the field of a part that says
    how long to keep the prompt up to there) and `tool_media` (the role that brings what a tool found and is no text;
    in OpenAI's own dialect only a user can); `unsupported` may hold `name` and `refusal`.
    """

    def __init__(self, facts: Facts, policy: Policy) -> None:
        self._facts = facts
        self._policy = policy
        self._cache_name = facts.parameters.renamed.get("cache_ttl", "")
        self._has_tool_media = facts.parameters.renamed.get("tool_media") == "tool"
        self._messages: list[Json] = []
        self._beside: list[Json] = []

    @classmethod
    def of(cls, facts: Facts, messages: Sequence[Message], *, policy: Policy) -> list[Json]:
        """Return the messages.

        Raises:
            InvalidRequest: a medium that cannot stand where it stands.
            UnsupportedParameter: one of them holds what the provider has no place for, and the policy refuses.
        """
        turns = cls(facts, policy)
        if "name" in facts.parameters.unsupported:
            without_names(messages, policy)
        for message in messages:
            turns.add(message)
        turns.end_results()
        return turns._messages

    def add(self, message: Message) -> None:
        """Write the next turn; each result of a tool is a message of its own."""
        results = [part for part in message.parts if isinstance(part, ToolResult)]
        rest = [part for part in message.parts if not isinstance(part, ToolResult)]
        for result in results:
            self._messages.append(self._result(result))
        if rest or not results:
            self.end_results()
            self._messages.append(self._turn(message, rest))

    def end_results(self) -> None:
        """Write what tools found and is no text: behind the last of their results, which must follow their calls."""
        if self._beside:
            self._messages.append({"role": "user", "content": self._beside})
        self._beside = []

    def _turn(self, message: Message, parts: Sequence[Part]) -> Json:
        # A result's medium may come with a role that has no other place here.
        role = "user" if message.role == "tool" else message.role
        is_assistant = role == "assistant"
        if is_assistant and any(isinstance(part, Media) for part in parts):
            hint = "an assistant's turn holds text; send pictures and files as the user's"
            self._policy.unsupported(self._facts, "messages", hint=hint)
            parts = [part for part in parts if not isinstance(part, Media)]
        content = self._content(parts)
        written: Json = {"role": role, "content": content if content is not None or is_assistant else ""}
        if message.name and "name" not in self._facts.parameters.unsupported:
            written["name"] = message.name
        calls = [part for part in parts if isinstance(part, ToolCall)]
        if calls:
            written["tool_calls"] = [_call(call) for call in calls]
        refusal = "".join(part.text for part in parts if isinstance(part, Refusal))
        if refusal and not self._says_refusals:
            written["refusal"] = refusal
        reasoning = "".join(part.text for part in parts if isinstance(part, Reasoning))
        if reasoning and self._facts.parameters.reasoning_input:
            written[self._facts.parameters.reasoning_input] = reasoning
        return written

    @property
    def _says_refusals(self) -> bool:
        """Whether a refusal of an earlier turn is text like any other: only some have a field of its own for it."""
        return "refusal" in self._facts.parameters.unsupported

    def _content(self, parts: Sequence[Part]) -> str | list[Json | msgspec.Raw] | None:
        blocks = [block for part in parts if (block := self._block(part)) is not None]
        if not blocks:
            return None
        texts = [block["text"] for block in blocks if isinstance(block, dict) and block.keys() == {"type", "text"}]
        return "".join(texts) if len(texts) == len(blocks) else blocks

    def _block(self, part: Part) -> Json | msgspec.Raw | None:
        match part:
            case Text(text=text, cache_ttl=ttl):
                return kept({"type": "text", "text": text}, self._cache_name, ttl)
            case Refusal(text=text) if self._says_refusals:
                return {"type": "text", "text": text}
            case Media():
                block = media_part(self._facts, part, self._policy)
                return None if block is None else kept(block, self._cache_name, part.cache_ttl)
            case OpaqueBlock(dialect=dialect, json=json):
                # Blocks of other dialects mean nothing here; they return to their own provider only.
                return msgspec.Raw(json) if dialect == DIALECT else None
            case _:
                return None

    def _result(self, result: ToolResult) -> Json:
        blocks: list[Json] = []
        for part in given_by(result):
            if isinstance(part, Text):
                blocks.append({"type": "text", "text": part.text})
            elif (block := media_part(self._facts, part, self._policy)) is not None:
                (blocks if self._has_tool_media else self._beside).append(block)
        texts = [block for block in blocks if block["type"] == "text"]
        if texts:
            texts[-1] |= kept({}, self._cache_name, result.cache_ttl)
        content: str | list[Json] = blocks
        if not blocks or (len(blocks) == 1 and blocks[0].keys() == {"type", "text"}):
            content = "".join(block["text"] for block in blocks)
        return {"role": "tool", "tool_call_id": result.tool_call_id, "content": content}


def _call(call: ToolCall) -> Json:
    # Both mean that there are none (recordings, quirk 21); all else stays the model's own, cut or not.
    arguments = "{}" if call.arguments.strip() in ("", "null") else call.arguments
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}
