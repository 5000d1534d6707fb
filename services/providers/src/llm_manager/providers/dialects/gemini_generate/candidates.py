"""What is known about each candidate of an answer while it is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from llm_manager.core.errors import LlmManagerError, UpstreamFailure, UpstreamUnavailable
from llm_manager.core.facts import Facts, FinishMeaning
from llm_manager.providers.dialects.estimate import Written
from llm_manager.providers.dialects.finish import meaning_of, neutral_reason
from llm_manager.providers.dialects.gemini_generate.blocks import Blocks
from llm_manager.providers.dialects.gemini_generate.events import PART, Candidate, arguments_of, is_said
from llm_manager.providers.dialects.upstream_errors import failed_finish


@dataclass(slots=True)
class CandidateState:
    """One candidate; its finish is the last that was said, because words may follow one."""

    index: int
    meaning: FinishMeaning | None = None
    is_known: bool = True
    native_reason: str = ""
    calls: int = 0
    text: list[str] = field(default_factory=list[str])
    blocks: Blocks = field(default_factory=Blocks)
    grounding: bytes = b""
    citations: bytes = b""


class Candidates:
    """All candidates of one answer, and what they amount to."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._states: dict[int, CandidateState] = {}
        self.written = Written()

    def __getitem__(self, index: int) -> CandidateState:
        state = self._states.get(index)
        if state is None:
            state = self._states[index] = CandidateState(index)
        return state

    def __iter__(self) -> Iterator[CandidateState]:
        return iter([self._states[index] for index in sorted(self._states)])

    def __len__(self) -> int:
        return len(self._states)

    def note(self, state: CandidateState, candidate: Candidate) -> LlmManagerError | None:
        """Count what a document adds to a candidate; return the error that its finish stands for, if any."""
        parts = (candidate.content.parts if candidate.content else None) or ()
        for raw in parts:
            part = PART.decode(raw)
            if part.text:
                (self.written.add_reasoning if part.thought else self.written.add_text)(state.index, part.text)
            if part.function_call is not None:
                state.calls += 1
                name = part.function_call.name or ""
                self.written.add_text(state.index, name + arguments_of(part.function_call))
        if is_said(candidate.grounding_metadata):
            grounding = bytes(candidate.grounding_metadata)
            # chunks without places come before and after the one that has them
            state.grounding = grounding if b'"groundingSupports"' in grounding else state.grounding
        if is_said(candidate.citation_metadata):
            state.citations = bytes(candidate.citation_metadata)
        return self._close(state, candidate) if candidate.finish_reason else None

    def _close(self, state: CandidateState, candidate: Candidate) -> LlmManagerError | None:
        reason = candidate.finish_reason or ""
        state.native_reason = reason
        state.meaning, state.is_known = meaning_of(self._facts, reason)
        if state.meaning != "error":
            return None
        if not candidate.finish_message:
            return failed_finish(self._facts, reason)
        return UpstreamUnavailable(
            f"{self._facts.title} broke off the answer and gave {reason!r} as the reason: {candidate.finish_message}",
            upstream=UpstreamFailure(200, code=reason),
        )

    def block(self, reason: str) -> None:
        """Close an answer that was refused before it began: there are no candidates then (recordings, quirk 27)."""
        state = self[0]
        state.meaning, state.native_reason = "content_filter", reason

    def close_unsaid(self) -> None:
        """Close what a whole answer left without a finish (gemini-chat-3f9a021d1a)."""
        for state in self:
            if state.meaning is None:
                state.meaning, state.is_known = "stop", False

    @property
    def is_closed(self) -> bool:
        """Whether there is a candidate and every one has its finish."""
        return bool(self._states) and all(state.meaning is not None for state in self)

    @property
    def unknown_finish_reasons(self) -> list[str]:
        """The finishes that the facts do not know."""
        return [state.native_reason for state in self if state.meaning is not None and not state.is_known]

    @property
    def finish_reason(self) -> str:
        """Neutral finish of the first candidate; empty while there is none."""
        state = self._states.get(0)
        if state is None or state.meaning in (None, "error"):
            return ""
        return neutral_reason(state.meaning, has_tool_calls=state.calls > 0)

    @property
    def native_finish_reason(self) -> str:
        """The provider's word for the finish of the first candidate."""
        state = self._states.get(0)
        return "" if state is None else state.native_reason
