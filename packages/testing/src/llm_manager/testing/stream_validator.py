"""What every stream that leaves us must obey (spec/wire.md section 1; known-failures L-29, P-2, B-10)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any  # chunks are JSON that is here to be judged

from llm_manager.core.deltas import Delta, Finish, ToolCallArguments, ToolCallStart

FINISH_REASONS = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})
_NEUTRAL_REASONS = FINISH_REASONS - {"function_call"}


@dataclass(slots=True)
class _Choice:
    has_role: bool = False
    calls: list[str] = field(default_factory=list[str])
    finish: str | None = None


class StreamValidator:
    """Takes chunks of OpenAI's form one by one and notes what is wrong with them.

    Args:
        allows_usage: True at the edge, where one choiceless chunk with usage may end the stream; between worker and
            gateway there is no usage at all.
    """

    def __init__(self, *, allows_usage: bool = False) -> None:
        self.violations: list[str] = []
        self._allows_usage = allows_usage
        self._choices: dict[int, _Choice] = {}
        self._count = 0
        self._usage_at: int | None = None

    def take(self, chunk: bytes | str) -> None:
        """Check one chunk."""
        self._count += 1
        if b"\n" in (chunk if isinstance(chunk, bytes) else chunk.encode()):
            self._note("a chunk holds a line end, which breaks its event")
        try:
            document: dict[str, Any] = json.loads(chunk)
        except ValueError:
            self._note("a chunk is no JSON")
            return
        if document.get("error"):
            self._note("a chunk holds an error")
        if self._usage_at is not None:
            self._note("a chunk follows the one with usage")
        if document.get("usage"):
            self._usage_at = self._count
            if not self._allows_usage or document.get("choices"):
                self._note("usage where none may be")
        choices: list[dict[str, Any]] = document.get("choices") or []
        for choice in choices:
            self._take_choice(choice)

    def close(self, *, is_error: bool = False) -> list[str]:
        """Return everything that was wrong. An answer that ended with an error needs no finish."""
        for index, choice in sorted(self._choices.items()):
            if choice.finish is None and not is_error:
                self._note(f"choice {index} has no finish")
        if not self._choices and not is_error:
            self._note("no choice at all")
        return self.violations

    def _take_choice(self, choice: dict[str, Any]) -> None:
        if not isinstance(choice.get("index"), int):
            self._note("a choice has no index")
        state = self._choices.setdefault(choice.get("index") or 0, _Choice())
        delta: dict[str, Any] | None = choice.get("delta")
        if delta is None:
            self._note("a choice has no delta")
            return
        if state.finish is not None:
            self._note(f"a chunk for choice {choice.get('index')} after its finish")
        if "role" in delta and (delta["role"] != "assistant" or state.has_role):
            self._note("a role that is not the first, or not the assistant's")
        if "role" not in delta and not state.has_role and not choice.get("finish_reason"):
            self._note("the first delta has no role")
        state.has_role = True
        if not isinstance(delta.get("content"), str | None):
            self._note("content is no text")
        parts: list[dict[str, Any]] = delta.get("tool_calls") or []
        for part in parts:
            self._take_call(part, state)
        if choice.get("finish_reason"):
            state.finish = choice["finish_reason"]
            if state.finish not in FINISH_REASONS:
                self._note(f"finish reason {state.finish!r} is none of OpenAI's")

    def _take_call(self, part: dict[str, Any], state: _Choice) -> None:
        index = part.get("index")
        if index == len(state.calls):
            if not part.get("id") or not part.get("type"):
                self._note("a tool call opens without id or type")
            state.calls.append(str(part.get("id")))
        elif not isinstance(index, int) or not 0 <= index < len(state.calls):
            self._note(f"tool index {index} after {len(state.calls)} calls")
        elif part.get("id"):
            self._note("an id in the middle of a tool call")
        function: dict[str, Any] | None = part.get("function")
        if function is not None and not isinstance(function.get("arguments"), str):
            self._note("arguments are no text")

    def _note(self, what: str) -> None:
        self.violations.append(f"chunk {self._count}: {what}")


def delta_violations(deltas: Iterable[Delta], *, is_error: bool = False) -> list[str]:
    """Return what is wrong with a neutral answer: the same invariants in neutral words."""
    found: list[str] = []
    calls: dict[int, int] = {}
    finished: set[int] = set()
    seen: set[int] = set()
    for number, delta in enumerate(deltas):
        seen.add(delta.choice)
        if delta.choice in finished:
            found.append(f"delta {number}: after the finish of choice {delta.choice}")
        match delta:
            case ToolCallStart(index=index, id=call_id):
                if index != calls.get(delta.choice, 0) or not call_id:
                    found.append(f"delta {number}: tool call {index} opens out of turn or without id")
                calls[delta.choice] = index + 1
            case ToolCallArguments(index=index) if index >= calls.get(delta.choice, 0):
                found.append(f"delta {number}: arguments for call {index}, which is not open")
            case Finish(reason=reason):
                finished.add(delta.choice)
                if reason not in _NEUTRAL_REASONS:
                    found.append(f"delta {number}: finish {reason!r}")
            case _:
                pass
    if not is_error and seen != finished:
        found.append(f"choices without a finish: {sorted(seen - finished)}")
    return found
