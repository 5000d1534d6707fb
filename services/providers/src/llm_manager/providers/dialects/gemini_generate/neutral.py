"""Writes an answer in neutral words."""

from __future__ import annotations

from datetime import datetime

import msgspec

from llm_manager.core.deltas import (
    Annotation,
    AnswerInfo,
    Delta,
    Finish,
    Logprobs,
    OpaqueDelta,
    ReasoningDelta,
    TextDelta,
    ToolCallArguments,
    ToolCallStart,
)
from llm_manager.providers.dialects.finish import neutral_reason
from llm_manager.providers.dialects.gemini_generate.candidates import CandidateState
from llm_manager.providers.dialects.gemini_generate.citations import annotations_of
from llm_manager.providers.dialects.gemini_generate.events import PART, Candidate, Document, arguments_of, is_said
from llm_manager.providers.dialects.gemini_generate.logprobs import openai_logprobs
from llm_manager.providers.dialects.port import NewId


def info_of(document: Document, new_id: NewId) -> AnswerInfo:
    """Return what the first document says about the answer as a whole; only Vertex says when it was made."""
    return AnswerInfo(
        id=document.response_id or new_id(), model=document.model_version or "", created=_unix(document.create_time)
    )


def deltas_of(
    candidate: Candidate, state: CandidateState, new_id: NewId, *, first_call: int, is_whole: bool
) -> list[Delta]:
    """Return the steps of one candidate of one document, without the finish.

    Args:
        first_call: number of the first call of this document; calls are counted through the whole answer (P-8).
        is_whole: the document is the whole answer.
    """
    deltas: list[Delta] = []
    index, calls = state.index, first_call
    for raw in (candidate.content.parts if candidate.content else None) or ():
        part = PART.decode(raw)
        state.blocks.add(bytes(raw), text=part.text, is_whole=is_whole)
        if part.text and part.thought:
            deltas.append(ReasoningDelta(text=part.text, choice=index))
        elif part.text:
            deltas.append(TextDelta(text=part.text, choice=index))
            state.text.append(part.text)
        if (call := part.function_call) is not None:
            deltas.append(ToolCallStart(index=calls, id=call.id or new_id(), name=call.name or "", choice=index))
            deltas.append(ToolCallArguments(index=calls, fragment=arguments_of(call), choice=index))
            calls += 1
    if is_said(candidate.logprobs_result) and (json := openai_logprobs(bytes(candidate.logprobs_result))):
        deltas.append(Logprobs(json=json, choice=index))
    return deltas


def endings_of(state: CandidateState) -> list[Delta]:
    """Return what ends a candidate: where its text comes from, the turn in the provider's own parts, the finish."""
    if state.meaning is None:
        return []
    deltas: list[Delta] = [
        Annotation(json=msgspec.json.encode(annotation), choice=state.index)
        for annotation in annotations_of("".join(state.text), state.grounding, state.citations)
    ]
    deltas += [OpaqueDelta(block=block, choice=state.index) for block in state.blocks.all()]
    reason = neutral_reason(state.meaning, has_tool_calls=state.calls > 0)
    return [*deltas, Finish(reason=reason, native_reason=state.native_reason, choice=state.index)]


def _unix(text: str | None) -> int:
    try:
        return int(datetime.fromisoformat(text or "").timestamp())
    except ValueError:
        return 0
