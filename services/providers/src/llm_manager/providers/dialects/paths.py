"""Where an operation is asked that has one address or two."""

from __future__ import annotations

from llm_manager.core.facts import Facts


def chat_path(facts: Facts, *, is_stream: bool) -> str:
    """Return where a chat is asked."""
    return (facts.paths.chat_stream if is_stream else "") or facts.paths.chat


def embeddings_path(facts: Facts, *, is_batch: bool) -> str:
    """Return where vectors are asked, by dialects that ask for those of several texts in another way."""
    return (facts.paths.embeddings_batch if is_batch else "") or facts.paths.embeddings
