"""An assistant's turn out of the items that it consists of; pure.

The Responses API spreads one turn over several items: reasoning, message, calls. In neutral words they are one message.
Items that only their provider can read (encrypted reasoning, calls of its own tools) go along as opaque blocks, all
items of the turn in order, so that the provider gets them back byte for byte (known-failures B-17, T-14).
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from llm_manager.core.facts import Dialect
from llm_manager.core.messages import Message, OpaqueBlock, Part, Reasoning, Refusal, Text, ToolCall
from llm_manager.gateway.ingress.decoding import T
from llm_manager.gateway.ingress.opaque import unpacked
from llm_manager.gateway.ingress.responses import request as wire
from llm_manager.gateway.ingress.responses.shape import response_of_item

DIALECT: Dialect = "openai_responses"

# What a provider's own tools did. Neutral words have nothing for it, and no other provider needs it: what came of it
# stands in the message that follows.
_SERVER_ITEMS = frozenset(
    {
        *("web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call", "mcp_call"),
        *("mcp_list_tools", "tool_search_call", "tool_search_output", "program", "program_output"),
    }
)
_OWN_ITEMS = frozenset({"reasoning", "function_call", "custom_tool_call"})


class Reads(Protocol):
    """Reads the item at hand as a struct."""

    def __call__(self, shape: type[T]) -> T: ...


def belongs_to_assistant(kind: wire.ItemKind) -> bool:
    """Whether an item is a part of what the model did."""
    return kind.role == "assistant" if kind.name == "message" else kind.name in _OWN_ITEMS | _SERVER_ITEMS


class AssistantTurn:
    """Collects items until the turn is over."""

    def __init__(self) -> None:
        self._parts: list[Part] = []
        self._packed: list[OpaqueBlock] = []
        self._items: list[bytes] = []
        self._has_foreign = False

    def add(self, kind: wire.ItemKind, raw: bytes, read: Reads) -> None:
        """Take the next item.

        Raises:
            InvalidRequest: out of reading it.
        """
        match kind.name:
            case "message":
                self._parts += _said(read(wire.AssistantItem))
            case "function_call":
                call = read(wire.CallItem)
                self._parts.append(ToolCall(id=call.call_id, name=call.name, arguments=call.arguments))
            case "custom_tool_call":
                custom = read(wire.CustomCallItem)
                arguments = msgspec.json.encode({"input": custom.input}).decode()
                self._parts.append(ToolCall(id=custom.call_id, name=custom.name, arguments=arguments))
                self._has_foreign = True
            case "reasoning":
                if not self._think(read(wire.ReasoningItem)):
                    return
            case _:
                self._has_foreign = True
        self._items.append(raw)

    def _think(self, item: wire.ReasoningItem) -> bool:
        """Take reasoning; return whether the item itself is one of a provider."""
        if text := "\n\n".join(piece.text for piece in (*item.summary, *(item.content or ())) if piece.text):
            self._parts.append(Reasoning(text=text))
        if item.encrypted_content:
            blocks = unpacked(item.encrypted_content)
            if blocks is None:
                self._has_foreign = True
                return True
            self._packed += blocks
            return False
        if item.id is None or response_of_item(item.id) is not None:
            return False
        self._has_foreign = True
        return True

    def ended(self) -> list[Message]:
        """Return the turn as a message, none when there is none, and begin anew."""
        parts: list[Part] = [*self._parts, *self._packed]
        if self._has_foreign:
            parts += [OpaqueBlock(dialect=DIALECT, json=item) for item in self._items]
        self._parts, self._packed, self._items, self._has_foreign = [], [], [], False
        return [Message(role="assistant", parts=tuple(parts))] if parts else []


def _said(item: wire.AssistantItem) -> list[Part]:
    if isinstance(item.content, str):
        return [Text(text=item.content)] if item.content else []
    # an empty text says nothing, and some providers refuse to read one
    return [
        Refusal(text=part.refusal) if isinstance(part, wire.RefusalPart) else Text(text=part.text)
        for part in item.content
        if isinstance(part, wire.RefusalPart) or part.text
    ]
