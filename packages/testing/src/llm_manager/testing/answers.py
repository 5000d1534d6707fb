"""What an answer amounts to, whoever tells it, and how it differs from what a recording expects."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from llm_manager.core.deltas import (
    Delta,
    Finish,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallArguments,
    ToolCallStart,
)
from llm_manager.core.usage import Usage


@dataclass(slots=True)
class Answer:
    """The first choice of an answer. `tool_calls` are pairs of name and arguments."""

    text: str = ""
    reasoning: str = ""
    refusal: str | None = None
    tool_calls: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    finish_reason: str | None = None
    choices_text: list[str] = field(default_factory=list[str])


def answer_of_deltas(deltas: Iterable[Delta]) -> Answer:
    """Put the steps of a neutral answer together."""
    answer = Answer()
    texts: dict[int, str] = {}
    for delta in deltas:
        added = delta.text if isinstance(delta, TextDelta) else ""
        texts[delta.choice] = texts.get(delta.choice, "") + added
        if delta.choice != 0:
            continue
        match delta:
            case ReasoningDelta(text=text):
                answer.reasoning += text
            case RefusalDelta(text=text):
                answer.refusal = (answer.refusal or "") + text
            case ToolCallStart(name=name):
                answer.tool_calls.append((name, ""))
            case ToolCallArguments(index=index, fragment=fragment):
                name, arguments = answer.tool_calls[index]
                answer.tool_calls[index] = (name, arguments + fragment)
            case Finish(reason=reason):
                answer.finish_reason = reason
            case _:
                pass
    answer.text = texts.get(0, "")
    answer.choices_text = [texts[index] for index in sorted(texts)]
    return answer


def answer_of_reading(reading: Mapping[str, Any]) -> Answer:
    """Return what the independent reader of the recordings read."""
    return Answer(
        text=reading["text"],
        reasoning=reading["reasoning_text"],
        refusal=reading["refusal"],
        tool_calls=[(call["name"], call["arguments"] or "") for call in reading["tool_calls"]],
        finish_reason=reading["finish_reason_normalised"],
        choices_text=list(reading.get("choices_text") or []),
    )


def differences(answer: Answer, expected: Mapping[str, Any]) -> list[str]:
    """Return in what an answer differs from a recording's `expected`, in words; empty when in nothing.

    A finish is not compared where the answer is an error: clients see the error, never a finish. Where the wire said
    no finish at all, any is right.
    """
    found: list[str] = []
    wanted = answer_of_reading(expected)
    for name in ("text", "reasoning", "refusal"):
        mine, theirs = getattr(answer, name), getattr(wanted, name)
        if mine != theirs:
            found.append(f"{name}: {mine!r} instead of {theirs!r}")
    mine_calls = [(name, meaning_of_arguments(arguments)) for name, arguments in answer.tool_calls]
    their_calls = [(name, meaning_of_arguments(arguments)) for name, arguments in wanted.tool_calls]
    if mine_calls != their_calls:
        found.append(f"tool calls: {mine_calls} instead of {their_calls}")
    if not expected["error"] and wanted.finish_reason is not None and answer.finish_reason != wanted.finish_reason:
        found.append(f"finish: {answer.finish_reason} instead of {wanted.finish_reason}")
    if wanted.choices_text and answer.choices_text != wanted.choices_text:
        found.append(f"choices: {answer.choices_text} instead of {wanted.choices_text}")
    return found


def meaning_of_arguments(arguments: str) -> object:
    """Return arguments as a value where they are JSON, so that spaces do not count; cut ones as text.

    Nothing, and `null`, mean that there are none (recordings, quirk 21); so does our own word for what is no JSON.
    """
    if arguments.strip() in ("", "null"):
        return {}
    try:
        value: Any = json.loads(arguments)
    except ValueError:
        return arguments
    return cast("dict[str, Any]", value).get("INVALID_JSON", value) if isinstance(value, dict) else value


def usage_differences(usage: Usage | None, expected: Mapping[str, Any]) -> list[str]:
    """Return in what counts differ from a recording's `expected`; what the wire does not say is not compared."""
    pairs: Sequence[tuple[str, int | None, Any]] = (
        ("input", None if usage is None else usage.input_total, expected["input_tokens_total"]),
        ("output", None if usage is None else usage.output_total, expected["output_tokens_total"]),
        ("cached", None if usage is None else usage.cache_read, expected["cached_input_tokens"]),
    )
    return [
        f"{name}: {mine} instead of {theirs}" for name, mine, theirs in pairs if theirs is not None and mine != theirs
    ]
