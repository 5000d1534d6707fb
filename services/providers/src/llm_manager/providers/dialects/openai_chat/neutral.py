"""Writes an answer in neutral words."""

from __future__ import annotations

from msgspec import UNSET

from llm_manager.core.deltas import (
    AnswerInfo,
    Delta,
    Finish,
    Logprobs,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallArguments,
    ToolCallStart,
)
from llm_manager.providers.dialects.finish import neutral_reason
from llm_manager.providers.dialects.numbers import MOST_INDEX, unix_seconds, whole_number
from llm_manager.providers.dialects.openai_chat.choices import Choices, ChoiceState
from llm_manager.providers.dialects.openai_chat.events import (
    ChatEvent,
    Choice,
    Message,
    ToolCallPart,
    arguments_text,
    real_id,
    split_content,
)
from llm_manager.providers.dialects.port import NewId


def info_of(event: ChatEvent, new_id: NewId) -> AnswerInfo:
    """Return what the first document says about the answer as a whole."""
    return AnswerInfo(
        id=event.id or new_id(),
        model=event.model or "",
        created=unix_seconds(event.created),
        system_fingerprint=event.system_fingerprint or "",
        service_tier=event.service_tier or "",
    )


def deltas_of(choice: Choice, state: ChoiceState, new_id: NewId) -> list[Delta]:
    """Return the steps of one choice of one document, without the finish."""
    message = choice.delta or choice.message
    deltas: list[Delta] = []
    index = state.index
    if message is not None:
        text, thinking, _ = split_content(message.content)
        reasoning = thinking or _text(message.reasoning_content) or _text(message.reasoning)
        if reasoning:
            deltas.append(ReasoningDelta(text=reasoning, choice=index))
        if text:
            deltas.append(TextDelta(text=text, choice=index))
        if message.refusal:
            deltas.append(RefusalDelta(text=message.refusal, choice=index))
        for part in _parts(message, is_whole=choice.delta is None):
            deltas += _call(part, state, new_id)
    if choice.logprobs is not UNSET and bytes(choice.logprobs) != b"null":
        deltas.append(Logprobs(json=bytes(choice.logprobs), choice=index))
    return deltas


def finishes(choices: Choices) -> list[Delta]:
    """Return the finish of every choice."""
    return [
        Finish(
            reason=neutral_reason(state.meaning, has_tool_calls=state.has_calls),
            native_reason=state.native_reason,
            choice=state.index,
        )
        for state in choices
        if state.meaning is not None
    ]


def _parts(message: Message, *, is_whole: bool) -> list[ToolCallPart]:
    parts = message.tool_calls or []
    if is_whole:
        # Whole calls are told apart by their place, whatever index the server gives them.
        for number, part in enumerate(parts):
            part.index = number
    if message.function_call is not None:
        # The form before tools (2023): one call without an id.
        return [*parts, ToolCallPart(index=0, function=message.function_call)]
    return parts


def _call(part: ToolCallPart, state: ChoiceState, new_id: NewId) -> list[Delta]:
    name, arguments = "", ""
    if part.function is not None:
        name, arguments = part.function.name or "", arguments_text(part.function.arguments)
    elif part.custom is not None:
        name, arguments = part.custom.name or "", part.custom.input or ""
    call, is_new = state.tools.place(whole_number(part.index, most=MOST_INDEX), real_id(part.id), name)
    call.arguments.append(arguments)
    deltas: list[Delta] = []
    if is_new:
        call.id = call.id or new_id()
        deltas.append(ToolCallStart(index=call.index, id=call.id, name=name, choice=state.index))
    call.name = call.name or name
    if arguments:
        deltas.append(ToolCallArguments(index=call.index, fragment=arguments, choice=state.index))
    return deltas


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
