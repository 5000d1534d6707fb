"""Writes an answer in neutral words."""

from __future__ import annotations

import msgspec

from llm_manager.core.deltas import (
    Annotation,
    Delta,
    Finish,
    OpaqueDelta,
    ReasoningDelta,
    TextDelta,
    ToolCallArguments,
    ToolCallStart,
)
from llm_manager.core.facts import FinishMeaning
from llm_manager.providers.dialects.anthropic_messages.blocks import Blocks, OpenBlock
from llm_manager.providers.dialects.anthropic_messages.citations import annotations_of
from llm_manager.providers.dialects.anthropic_messages.events import BlockDelta, is_said
from llm_manager.providers.dialects.estimate import Written
from llm_manager.providers.dialects.finish import neutral_reason
from llm_manager.providers.dialects.port import NewId

_NO_INPUT = (b"", b"{}", b"null")


def beginning_of(block: OpenBlock, new_id: NewId, written: Written) -> list[Delta]:
    """Return what a block says as it begins; a whole one says everything."""
    if block.number is not None:
        start = ToolCallStart(index=block.number, id=block.head.id or new_id(), name=block.head.name or "")
        written.add_text(0, start.name)
        arguments = bytes(block.head.input) if is_said(block.head.input) else b""
        return [start, *_arguments(block, "" if arguments in _NO_INPUT else arguments.decode(), written)]
    return [*_text(block.head.text, written), *_reasoning(block.head.thinking, written)]


def more_of(block: OpenBlock, delta: BlockDelta, written: Written) -> list[Delta]:
    """Return what an event adds; nothing for blocks of tools that the provider runs itself."""
    if block.number is not None:
        return _arguments(block, delta.partial_json or "", written)
    return [*_text(delta.text, written), *_reasoning(delta.thinking, written)]


def end_of(block: OpenBlock) -> list[Delta]:
    """Return what a call lacks at its end: no arguments at all mean an empty object."""
    if block.number is None or any(block.input):
        return []
    said = bytes(block.head.input) if is_said(block.head.input) else b""
    return [ToolCallArguments(index=block.number, fragment="{}")] if said in _NO_INPUT else []


def endings_of(blocks: Blocks, meaning: FinishMeaning, native_reason: str) -> list[Delta]:
    """Return what ends an answer: where its text comes from, the turn in the provider's own words, the finish."""
    reason = neutral_reason(meaning, has_tool_calls=blocks.has_calls)
    return [
        *(Annotation(json=msgspec.json.encode(item)) for item in annotations_of(blocks.all())),
        *(OpaqueDelta(block=block) for block in blocks.turn()),
        Finish(reason=reason, native_reason=native_reason),
    ]


def _text(text: str | None, written: Written) -> list[Delta]:
    if not text:
        return []
    written.add_text(0, text)
    return [TextDelta(text=text)]


def _reasoning(text: str | None, written: Written) -> list[Delta]:
    if not text:
        return []
    written.add_reasoning(0, text)
    return [ReasoningDelta(text=text)]


def _arguments(block: OpenBlock, fragment: str, written: Written) -> list[Delta]:
    if not fragment or block.number is None:
        return []
    written.add_text(0, fragment)
    return [ToolCallArguments(index=block.number, fragment=fragment)]
