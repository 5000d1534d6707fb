"""What the model has said so far, from the events of a stream or from a whole message."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from llm_manager.core.facts import FinishMeaning
from llm_manager.core.messages import OpaqueBlock
from llm_manager.providers.dialects.cohere_v2.events import BLOCK, CALL, Block, Message, compact, each, is_said
from llm_manager.providers.dialects.estimate import Written
from llm_manager.providers.dialects.json_values import Json
from llm_manager.providers.dialects.pointers import raw_table
from llm_manager.providers.dialects.tool_calls import OpenCall, ToolCalls

DIALECT = "cohere_v2"
TEXT, THINKING = "text", "thinking"
_NEUTRAL_FIELDS = frozenset({"role", "content", "tool_calls"})


@dataclass(slots=True)
class Part:
    """One block of the content; `raw` is how it came, where it is neither text nor thinking."""

    kind: str
    pieces: list[str] = field(default_factory=list[str])
    raw: msgspec.Raw | None = None

    @property
    def text(self) -> str:
        """What it says."""
        return "".join(self.pieces)

    def written(self) -> Json | msgspec.Raw:
        """Return the block as a whole message holds it."""
        return {"type": self.kind, self.kind: self.text} if self.raw is None else self.raw


class Reply:
    """The one message of an answer, and how it ended. `raw` is the message itself where it came whole."""

    def __init__(self) -> None:
        self.id = ""
        self.raw = b""
        self.written = Written()
        self.plan: list[str] = []
        self.citations: list[msgspec.Raw] = []
        self.calls = ToolCalls()
        self.meaning: FinishMeaning | None = None
        self.native_reason = ""
        self.is_known = True
        self._parts: dict[int, Part] = {}

    @property
    def parts(self) -> list[Part]:
        """The blocks of the content in order."""
        return [self._parts[index] for index in sorted(self._parts)]

    def add_block(self, index: int, raw: msgspec.Raw) -> Block:
        """Take a block, or more of it, and return it."""
        block = BLOCK.decode(raw)
        kind = block.type or (TEXT if block.thinking is None else THINKING)
        part = self._parts.get(index)
        if part is None:
            part = self._parts[index] = Part(kind, raw=None if kind in (TEXT, THINKING) else raw)
        if block.text:
            self.written.add_text(0, block.text)
        if block.thinking:
            self.written.add_reasoning(0, block.thinking)
        part.pieces.append((block.thinking if part.kind == THINKING else block.text) or "")
        return block

    def add_plan(self, text: str) -> None:
        """Take more of the plan that the model makes before it calls tools."""
        self.plan.append(text)
        self.written.add_text(0, text)

    def add_call(self, index: int | None, raw: msgspec.Raw) -> tuple[OpenCall, bool, str]:
        """Take a call, or more of it; return it, whether it is new, and what was added to its arguments."""
        part = CALL.decode(raw)
        name = (part.function.name if part.function else None) or ""
        arguments = (part.function.arguments if part.function else None) or ""
        call, is_new = self.calls.place(index, part.id or "", name)
        call.name = call.name or name
        call.arguments.append(arguments)
        self.written.add_text(0, name + arguments)
        return call, is_new, arguments

    def block(self) -> OpaqueBlock | None:
        """Return the turn as the provider wrote it, None when neutral words say it whole (B-17).

        The plan in front of tool calls, and citations, have no neutral words; thoughts have, but only in front of the
        text.
        """
        message = self.raw or self._message()
        if not self._is_needed(message):
            return None
        return OpaqueBlock(dialect=DIALECT, json=compact(message))

    def _message(self) -> bytes:
        """Put the message of a stream together."""
        message: Json = {"role": "assistant"}
        if parts := self.parts:
            message["content"] = [part.written() for part in parts]
        if plan := "".join(self.plan):
            message["tool_plan"] = plan
        if self.calls.calls:
            message["tool_calls"] = [_call(call) for call in self.calls.calls]
        if self.citations:
            message["citations"] = self.citations
        return msgspec.json.encode(message)

    def _is_needed(self, message: bytes) -> bool:
        said = {name for name, value in raw_table(message).items() if bytes(value) not in (b'""', b"[]", b"null")}
        kinds = [part.kind for part in self.parts]
        is_neutral = said <= _NEUTRAL_FIELDS and kinds == sorted(kinds, key=lambda kind: kind != THINKING)
        return not is_neutral or not {TEXT, THINKING}.issuperset(kinds)


def parts_of(message: Message) -> list[msgspec.Raw]:
    """Return the content of a whole message as blocks; older servers write text alone."""
    if is_said(message.content) and bytes(message.content)[:1] == b'"':
        text = msgspec.json.decode(message.content, type=str)
        return [msgspec.Raw(msgspec.json.encode({"type": TEXT, "text": text}))]
    return each(message.content)


def _call(call: OpenCall) -> Json:
    function = {"name": call.name, "arguments": "".join(call.arguments)}
    return {"id": call.id, "type": "function", "function": function}
