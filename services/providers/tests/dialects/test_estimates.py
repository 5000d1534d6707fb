"""How far estimates are from what providers count: each counts with a tokenizer of its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from llm_manager.core.estimates import size_of, tokens_of
from llm_manager.testing.recordings import load, why_absent

pytestmark = pytest.mark.skipif(why_absent() is not None, reason=str(why_absent()))
# Answers that are nothing but text, and long enough for a rule of thumb.
_LEAST_CHARACTERS = 80
# Tokens that no text shows: calls of the provider's own tools, and thoughts that are kept back.
_UNSHOWN = frozenset({"server_tool_output", "builtin_tools", "citations", "thinking_requested", "redacted_thinking"})


@pytest.mark.requirement("S97")
@pytest.mark.parametrize(
    "provider", ["openai", "anthropic", "gemini", "groq", "mistral", "cohere", "together", "ollama"]
)
def test_estimates_are_within_a_third_of_what_each_provider_counts(
    provider: str, record_property: Callable[[str, object], None]
) -> None:
    counted = estimated = 0
    for recording in load(providers=(provider,), operations=("chat",)):
        said = recording.expected
        is_text = not (said["error"] or said["tool_calls"] or said["reasoning_text"] or said["reasoning_tokens"])
        is_text = is_text and _UNSHOWN.isdisjoint(recording.tags)
        if is_text and said["output_tokens"] and len(said["text"] or "") >= _LEAST_CHARACTERS:
            counted += said["output_tokens"]
            estimated += tokens_of(size_of(said["text"]))
    assert counted > 300
    record_property("figures", f"estimates of {provider}: {estimated / counted - 1:+.0%} over {counted} tokens")
    assert estimated == pytest.approx(counted, rel=1 / 3)
