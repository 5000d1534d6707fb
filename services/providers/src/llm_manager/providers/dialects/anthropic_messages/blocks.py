"""The blocks of one answer in order, put together where a stream cut them."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from llm_manager.core.messages import OpaqueBlock
from llm_manager.providers.dialects.anthropic_messages.events import (
    BLOCK,
    RAWS,
    TEXT,
    THINKING,
    TOOL_USE,
    Block,
    BlockDelta,
    compact,
    is_said,
)
from llm_manager.providers.dialects.json_values import Json
from llm_manager.providers.dialects.pointers import raw_table

DIALECT = "anthropic_messages"
_DIRECT = {b'{"type":"direct"}', b'{"type": "direct"}', b"null"}
# Members that neutral words say, or that say nothing.
_NEUTRAL = {TEXT: frozenset({"type", "text"}), TOOL_USE: frozenset({"type", "id", "name", "input"})}
_GROWING = frozenset({"text_delta", "thinking_delta", "signature_delta", "input_json_delta", "citations_delta"})
_ORDER = {TEXT: 0, TOOL_USE: 1}


@dataclass(slots=True)
class OpenBlock:
    """A block that has begun; `raw` is how it came.

    Args:
        number: of a tool's call among the calls, from 0.
    """

    raw: msgspec.Raw
    head: Block
    number: int | None = None
    text: list[str] = field(default_factory=list[str])
    input: list[str] = field(default_factory=list[str])
    citations: list[msgspec.Raw] = field(default_factory=list[msgspec.Raw])
    signature: list[str] = field(default_factory=list[str])
    other: dict[str, msgspec.Raw] = field(default_factory=dict[str, msgspec.Raw])

    def add(self, delta: BlockDelta, raw: msgspec.Raw) -> None:
        """Take what an event adds.

        Blocks of newer kinds are set by it, as a summary of a long talk is; members that an old kind never had would be
        refused when they go back.
        """
        if delta.type not in _GROWING:
            if self.head.type not in (TEXT, TOOL_USE, THINKING):
                self.other |= {name: value for name, value in raw_table(raw).items() if name != "type"}
            return
        self.text.append((delta.thinking if self.head.type == THINKING else delta.text) or "")
        self.input.append(delta.partial_json or "")
        self.signature.append(delta.signature or "")
        if is_said(delta.citation):
            self.citations.append(delta.citation)

    @property
    def said(self) -> str:
        """Its text or its thoughts."""
        head = self.head.thinking if self.head.type == THINKING else self.head.text
        return (head or "") + "".join(self.text)

    @property
    def cited(self) -> list[msgspec.Raw]:
        """Its citations."""
        return [*(RAWS.decode(self.head.citations) if is_said(self.head.citations) else []), *self.citations]

    def whole(self) -> bytes:
        """Return the block as a whole answer holds it: what a stream did not cut stays as it came."""
        added: Json = dict(self.other)
        if any(self.text):
            added["thinking" if self.head.type == THINKING else "text"] = self.said
        if arguments := "".join(self.input):
            # what was cut is no JSON, and would break the turn that holds it
            added["input"] = msgspec.Raw(arguments.encode()) if _is_json(arguments) else {"text": arguments}
        if any(self.signature):
            added["signature"] = (self.head.signature or "") + "".join(self.signature)
        if self.citations:
            added["citations"] = self.cited
        return msgspec.json.encode({**raw_table(self.raw), **added}) if added else compact(bytes(self.raw))

    def is_neutral(self) -> bool:
        """Return whether neutral words say all of it."""
        known = _NEUTRAL.get(self.head.type)
        if known is None or self.cited:
            return False
        rest = {name: bytes(value) for name, value in raw_table(self.raw).items() if name not in known}
        rest.pop("citations", None)
        # a tool that the model called itself, as all were before there were other callers
        return not rest or (rest.keys() == {"caller"} and rest["caller"] in _DIRECT)


class Blocks:
    """The blocks by their index."""

    def __init__(self) -> None:
        self._blocks: dict[int, OpenBlock] = {}
        self._calls = 0

    def begin(self, index: int, raw: msgspec.Raw) -> OpenBlock:
        """Take the beginning of a block, or a whole one."""
        block = OpenBlock(raw, BLOCK.decode(raw))
        if block.head.type == TOOL_USE:
            block.number, self._calls = self._calls, self._calls + 1
        self._blocks[index] = block
        return block

    def at(self, index: int | None) -> OpenBlock | None:
        """Return a block that has begun."""
        return None if index is None else self._blocks.get(index)

    @property
    def has_calls(self) -> bool:
        """Whether a tool of the client's was called; those that the provider runs itself are none."""
        return self._calls > 0

    def all(self) -> list[OpenBlock]:
        """Return the blocks in order."""
        return [self._blocks[index] for index in sorted(self._blocks)]

    def turn(self) -> list[OpaqueBlock]:
        """Return the turn as it was written; empty when neutral words say it whole."""
        blocks = self.all()
        order = [_ORDER.get(block.head.type, -1) for block in blocks]
        if all(block.is_neutral() for block in blocks) and order == sorted(order):
            return []
        # the provider refuses empty text, which it sends itself between blocks of its own
        kept = [block for block in blocks if block.head.type != TEXT or block.said]
        return [OpaqueBlock(dialect=DIALECT, json=block.whole()) for block in kept]


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        return False
    return True
