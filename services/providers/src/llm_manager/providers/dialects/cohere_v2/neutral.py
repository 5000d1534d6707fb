"""Writes an answer in neutral words.

The plan that a model makes before it calls tools is neither its text nor its reasoning (the independent reader of the
recordings keeps it apart as well): it travels in the block of the turn.
"""

from __future__ import annotations

import msgspec

from llm_manager.core.deltas import (
    Annotation,
    Delta,
    Finish,
    Logprobs,
    OpaqueDelta,
    ReasoningDelta,
    TextDelta,
    ToolCallArguments,
    ToolCallStart,
)
from llm_manager.providers.dialects.cohere_v2.citations import annotations_of
from llm_manager.providers.dialects.cohere_v2.events import Block, is_said
from llm_manager.providers.dialects.cohere_v2.logprobs import openai_logprobs
from llm_manager.providers.dialects.cohere_v2.reply import Reply
from llm_manager.providers.dialects.finish import neutral_reason
from llm_manager.providers.dialects.port import NewId
from llm_manager.providers.dialects.tool_calls import OpenCall


def of_block(block: Block) -> list[Delta]:
    """Return what a block of the content adds."""
    deltas: list[Delta] = []
    if block.thinking:
        deltas.append(ReasoningDelta(text=block.thinking))
    if block.text:
        deltas.append(TextDelta(text=block.text))
    return deltas


def of_call(call: OpenCall, new_id: NewId, *, is_new: bool, fragment: str) -> list[Delta]:
    """Return what a fragment adds to a call; a call without an id gets one."""
    deltas: list[Delta] = []
    if is_new:
        call.id = call.id or new_id()
        deltas.append(ToolCallStart(index=call.index, id=call.id, name=call.name))
    if fragment:
        deltas.append(ToolCallArguments(index=call.index, fragment=fragment))
    return deltas


def end_of_call(call: OpenCall) -> list[Delta]:
    """Return what a call lacks at its end: no arguments at all mean an empty object (recordings, quirk 21)."""
    if any(call.arguments):
        return []
    return [ToolCallArguments(index=call.index, fragment="{}")]


def of_logprobs(raw: msgspec.Raw | msgspec.UnsetType) -> list[Delta]:
    """Return log probabilities, where there are some."""
    json = openai_logprobs(bytes(raw)) if is_said(raw) else b""
    return [Logprobs(json=json)] if json else []


def endings_of(reply: Reply) -> list[Delta]:
    """Return what ends an answer: where its text comes from, the turn in the provider's own words, the finish."""
    if reply.meaning is None:
        return []
    deltas: list[Delta] = [
        Annotation(json=msgspec.json.encode(annotation)) for annotation in annotations_of(reply.parts, reply.citations)
    ]
    if (block := reply.block()) is not None:
        deltas.append(OpaqueDelta(block=block))
    reason = neutral_reason(reply.meaning, has_tool_calls=bool(reply.calls.calls))
    return [*deltas, Finish(reason=reason, native_reason=reply.native_reason)]
