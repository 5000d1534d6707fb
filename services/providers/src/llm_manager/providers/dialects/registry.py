"""Which dialects a kind speaks, by its facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from llm_manager.core.facts import Dialect as DialectName
from llm_manager.core.facts import Facts
from llm_manager.core.ids import uuid7
from llm_manager.providers.dialects.anthropic_messages.dialect import AnthropicMessages
from llm_manager.providers.dialects.cohere_v2.dialect import CohereV2
from llm_manager.providers.dialects.gemini_generate.dialect import GeminiGenerate
from llm_manager.providers.dialects.ollama_chat.dialect import OllamaChat
from llm_manager.providers.dialects.ollama_generate.dialect import OllamaGenerate
from llm_manager.providers.dialects.openai_chat.dialect import OpenAiChat
from llm_manager.providers.dialects.openai_completions.dialect import OpenAiCompletions
from llm_manager.providers.dialects.openai_responses.dialect import OpenAiResponses
from llm_manager.providers.dialects.port import NewId


class _Makes(Protocol):
    def __call__(self, facts: Facts, *, new_id: NewId) -> object: ...


_DIALECTS: Mapping[DialectName, _Makes] = {
    "openai_chat": OpenAiChat,
    "openai_responses": OpenAiResponses,
    "openai_completions": OpenAiCompletions,
    "anthropic_messages": AnthropicMessages,
    "gemini_generate": GeminiGenerate,
    "cohere_v2": CohereV2,
    "ollama_chat": OllamaChat,
    "ollama_generate": OllamaGenerate,
}


def new_id() -> str:
    """Return an id for what a provider left without one."""
    return f"lm_{uuid7().replace('-', '')}"


def dialects_of(facts: Facts, *, make_id: NewId = new_id) -> Mapping[DialectName, object]:
    """Return every translator of one kind, the main one first; what each can do, it says by the protocols of `port`."""
    return {name: _DIALECTS[name](facts, new_id=make_id) for name in (facts.dialect, *facts.also)}
