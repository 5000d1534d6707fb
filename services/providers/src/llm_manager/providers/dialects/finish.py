"""What a finish reason means. Providers' failures are errors, never a finish (known-failures L-30)."""

from __future__ import annotations

from collections.abc import Mapping

from llm_manager.core.deltas import FinishReason
from llm_manager.core.facts import Facts, FinishMeaning

_NEUTRAL: Mapping[FinishMeaning, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}
# A word that nobody knows may be a failure. Of the four words that clients know, `length` promises least: the
# answer may be incomplete.
UNKNOWN_MEANING: FinishMeaning = "length"


def meaning_of(facts: Facts, reason: str, native_reason: object = None) -> tuple[FinishMeaning, bool]:
    """Return what a provider's word means, and whether the facts know it.

    A router's `native_finish_reason` that means failure wins over the router's own word: OpenRouter says `stop` beside
    MALFORMED_FUNCTION_CALL (recordings, openai_compatible-chat-59f7a7e713).
    """
    if isinstance(native_reason, str) and facts.finish_reasons.get(native_reason) == "error":
        return "error", True
    meaning = facts.finish_reasons.get(reason)
    return (UNKNOWN_MEANING, False) if meaning is None else (meaning, True)


def neutral_reason(meaning: FinishMeaning, *, has_tool_calls: bool) -> FinishReason:
    """Return the neutral reason, decided by content: OpenAI says `stop` when a tool was forced, Ollama always does."""
    reason = _NEUTRAL[meaning]
    return "tool_calls" if reason == "stop" and has_tool_calls else reason
