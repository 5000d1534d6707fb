"""What is known about each choice of an answer while it is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from llm_manager.core.errors import LlmManagerError
from llm_manager.core.facts import Facts, FinishMeaning
from llm_manager.providers.dialects.estimate import Written
from llm_manager.providers.dialects.finish import meaning_of, neutral_reason
from llm_manager.providers.dialects.openai_chat.events import Choice
from llm_manager.providers.dialects.tool_calls import ToolCalls
from llm_manager.providers.dialects.upstream_errors import failed_finish


@dataclass(slots=True)
class ChoiceState:
    """One choice; the finish is held back until the answer is over, because some servers send content after it."""

    index: int
    has_role: bool = False
    has_calls: bool = False
    meaning: FinishMeaning | None = None
    native_reason: str = ""
    # Any: a JSON document, the chunk that will carry the finish
    finish_chunk: dict[str, Any] | None = None
    tools: ToolCalls = field(default_factory=ToolCalls)


class Choices:
    """All choices of one answer, and what they amount to."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._states: dict[int, ChoiceState] = {}
        self.written = Written()
        self.unknown_finish_reasons: list[str] = []

    def __getitem__(self, index: int) -> ChoiceState:
        state = self._states.get(index)
        if state is None:
            state = self._states[index] = ChoiceState(index)
        return state

    def __iter__(self) -> Iterator[ChoiceState]:
        return iter([self._states[index] for index in sorted(self._states)])

    def __len__(self) -> int:
        return len(self._states)

    def close(self, state: ChoiceState, choice: Choice) -> LlmManagerError | None:
        """Note the finish of a choice, the last word of several; return the error that it stands for, if any."""
        reason = choice.finish_reason or ""
        meaning, is_known = meaning_of(self._facts, reason, choice.native_finish_reason)
        if meaning == "error":
            native = choice.native_finish_reason
            return failed_finish(self._facts, native if isinstance(native, str) and native else reason)
        if not is_known:
            self.unknown_finish_reasons.append(reason)
        if meaning == "stop" and state.has_calls and self._facts.stream.calls_end_as_stop:
            meaning = "tool_calls"
        state.meaning, state.native_reason = meaning, reason
        return None

    @property
    def finish_reason(self) -> str:
        """Neutral finish of the first choice; empty while there is none."""
        state = self._states.get(0)
        if state is None or state.meaning is None:
            return ""
        return neutral_reason(state.meaning, has_tool_calls=state.has_calls)

    @property
    def native_finish_reason(self) -> str:
        """The provider's word for the finish of the first choice."""
        state = self._states.get(0)
        return "" if state is None else state.native_reason
