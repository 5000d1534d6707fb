"""Which dialect a kind speaks, by its facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from llm_manager.core.facts import Dialect as DialectName
from llm_manager.core.facts import Facts
from llm_manager.core.ids import uuid7
from llm_manager.providers.dialects.ollama_chat.dialect import OllamaChat
from llm_manager.providers.dialects.openai_chat.dialect import OpenAiChat
from llm_manager.providers.dialects.port import Dialect, NewId


class _Makes(Protocol):
    def __call__(self, facts: Facts, *, new_id: NewId) -> Dialect: ...


_DIALECTS: Mapping[DialectName, _Makes] = {"openai_chat": OpenAiChat, "ollama_chat": OllamaChat}


def new_id() -> str:
    """Return an id for what a provider left without one."""
    return f"lm_{uuid7().replace('-', '')}"


def dialect_of(facts: Facts, *, make_id: NewId = new_id) -> Dialect:
    """Return the translator for one kind. It holds no state between requests."""
    return _DIALECTS[facts.dialect](facts, new_id=make_id)
