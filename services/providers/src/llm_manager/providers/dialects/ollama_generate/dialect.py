"""The dialect as the worker sees it; the protocol is `port.NativeChats`.

Everything of it passes as it came: prompt, suffix, images, `raw`, `template`, and the `context` of numbers that comes
back in the next request. Nothing is said to it in neutral words; a conversation goes to /api/chat.
"""

from __future__ import annotations

from llm_manager.core.facts import Facts
from llm_manager.providers.dialects.ollama_chat.request import native_call
from llm_manager.providers.dialects.ollama_generate.answer import OllamaGenerateReader
from llm_manager.providers.dialects.policy import Policy
from llm_manager.providers.dialects.port import NewId, UpstreamCall


class OllamaGenerate:
    """Ollama's completions with the facts of one kind."""

    def __init__(self, facts: Facts, *, new_id: NewId) -> None:
        self._facts = facts
        self._new_id = new_id

    def native_chat(self, body: bytes, *, model: str, is_stream: bool, policy: Policy) -> UpstreamCall:
        """See `port.NativeChats`."""
        imposed = {"model": model, "stream": is_stream}
        return native_call(self._facts, self._facts.paths.generate, body, imposed, policy=policy)

    def native_chat_reader(self, *, is_stream: bool) -> OllamaGenerateReader:
        """See `port.NativeChats`."""
        return OllamaGenerateReader(self._facts, is_native=True, is_stream=is_stream, new_id=self._new_id)
