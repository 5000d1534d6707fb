"""The dialect as the worker sees it; the protocols are those of `port`, but for rerank and the size of a prompt."""

from __future__ import annotations

from llm_manager.core.facts import Facts
from llm_manager.core.messages import ChatInput, EmbeddingsInput
from llm_manager.providers.dialects.ollama_chat import request as write
from llm_manager.providers.dialects.ollama_chat.answer import OllamaChatReader
from llm_manager.providers.dialects.ollama_chat.documents import OllamaEmbeddingsReader, OllamaModelsReader
from llm_manager.providers.dialects.policy import Policy
from llm_manager.providers.dialects.port import NewId, UpstreamCall


class OllamaChat:
    """Ollama's dialect with the facts of one kind."""

    def __init__(self, facts: Facts, *, new_id: NewId) -> None:
        self._facts = facts
        self._new_id = new_id

    def chat(self, request: ChatInput, *, model: str, is_stream: bool, policy: Policy) -> UpstreamCall:
        """See `port.Dialect`."""
        return write.neutral_chat(self._facts, request, model=model, is_stream=is_stream, policy=policy)

    def native_chat(self, body: bytes, *, model: str, is_stream: bool, policy: Policy) -> UpstreamCall:
        """See `port.NativeChats`."""
        return write.native_chat(self._facts, body, model=model, is_stream=is_stream, policy=policy)

    def embeddings(self, request: EmbeddingsInput, *, model: str, policy: Policy) -> UpstreamCall:
        """See `port.Embeds`."""
        return write.neutral_embeddings(self._facts, request, model=model, policy=policy)

    def native_embeddings(self, body: bytes, *, model: str, policy: Policy) -> UpstreamCall:
        """See `port.NativeEmbeds`."""
        return write.native_embeddings(self._facts, body, model=model, policy=policy)

    def models(self) -> UpstreamCall:
        """See `port.ListsModels`."""
        return UpstreamCall("GET", self._facts.paths.models)

    def chat_reader(self, *, is_stream: bool) -> OllamaChatReader:
        """See `port.Dialect`."""
        return OllamaChatReader(self._facts, is_native=False, is_stream=is_stream, new_id=self._new_id)

    def native_chat_reader(self, *, is_stream: bool) -> OllamaChatReader:
        """See `port.NativeChats`."""
        return OllamaChatReader(self._facts, is_native=True, is_stream=is_stream, new_id=self._new_id)

    def embeddings_reader(self) -> OllamaEmbeddingsReader:
        """See `port.Embeds`."""
        return OllamaEmbeddingsReader(self._facts, is_native=False)

    def native_embeddings_reader(self, asked: bytes = b"") -> OllamaEmbeddingsReader:  # noqa: ARG002 (one form only)
        """See `port.NativeEmbeds`."""
        return OllamaEmbeddingsReader(self._facts, is_native=True)

    def models_reader(self) -> OllamaModelsReader:
        """See `port.ListsModels`."""
        return OllamaModelsReader(self._facts)
