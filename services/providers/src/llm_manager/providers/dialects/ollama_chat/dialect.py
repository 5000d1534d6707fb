"""The dialect as the worker sees it; the protocol is `port.Dialect`."""

from __future__ import annotations

from llm_manager.core.facts import Facts
from llm_manager.core.messages import ChatInput, EmbeddingsInput
from llm_manager.providers.dialects.ollama_chat import request as write
from llm_manager.providers.dialects.ollama_chat.answer import OllamaChatReader
from llm_manager.providers.dialects.ollama_chat.documents import OllamaEmbeddingsReader, OllamaModelsReader
from llm_manager.providers.dialects.port import NewId, UpstreamCall


class OllamaChat:
    """Ollama's dialect. No client speaks it to us, so it is no `port.NativeDialect`."""

    def __init__(self, facts: Facts, *, new_id: NewId) -> None:
        self._facts = facts
        self._new_id = new_id

    def chat(self, request: ChatInput, *, model: str, is_stream: bool) -> UpstreamCall:
        """See `port.Dialect`."""
        return write.chat(self._facts, request, model=model, is_stream=is_stream)

    def embeddings(self, request: EmbeddingsInput, *, model: str) -> UpstreamCall:
        """See `port.Dialect`."""
        return write.embeddings(self._facts, request, model=model)

    def models(self) -> UpstreamCall:
        """See `port.Dialect`."""
        return UpstreamCall("GET", self._facts.paths.models)

    def chat_reader(self, *, is_stream: bool) -> OllamaChatReader:  # noqa: ARG002 (a whole answer is one line)
        """See `port.Dialect`."""
        return OllamaChatReader(self._facts, new_id=self._new_id)

    def embeddings_reader(self) -> OllamaEmbeddingsReader:
        """See `port.Dialect`."""
        return OllamaEmbeddingsReader(self._facts)

    def models_reader(self) -> OllamaModelsReader:
        """See `port.Dialect`."""
        return OllamaModelsReader(self._facts)
