"""Why an answer ended, in Gemini's words."""

from __future__ import annotations

from collections.abc import Mapping

from llm_manager.core.deltas import Finish, FinishReason

_REASONS: Mapping[FinishReason, str] = {
    "stop": "STOP",
    "tool_calls": "STOP",
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
}
# What Gemini has more words for than neutral ones (google-genai 3.4.0 `types.FinishReason`, read on 2026-11-26).
_NATIVE: Mapping[FinishReason, frozenset[str]] = {
    "stop": frozenset(),
    "tool_calls": frozenset(),
    "length": frozenset({"CONTINUATION", "TOO_MANY_TOOL_CALLS", "OTHER"}),
    "content_filter": frozenset(
        {
            *("RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR", "ESCALATION"),
            *("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "IMAGE_OTHER", "NO_IMAGE"),
        }
    ),
}
_MALFORMED = "MALFORMED_FUNCTION_CALL"


def finish_members(finish: Finish, *, malformed_call: str | None) -> dict[str, str]:
    """Return why a candidate ended.

    Args:
        malformed_call: a call whose arguments are no JSON, as the model wrote it. Where no limit cut it, the dialect
            has a reason of its own for that, so that nobody runs it.
    """
    if malformed_call is not None and finish.reason in ("stop", "tool_calls"):
        return {"finishReason": _MALFORMED, "finishMessage": f"Malformed function call: {malformed_call}"}
    if finish.native_reason in _NATIVE[finish.reason]:
        return {"finishReason": finish.native_reason}
    return {"finishReason": _REASONS[finish.reason]}
