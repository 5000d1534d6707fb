"""The dialect as the worker sees it; the protocols are those of `port`, but for the size of a prompt."""

from __future__ import annotations

from llm_manager.core.facts import Facts
from llm_manager.core.messages import ChatInput, EmbeddingsInput, RerankInput
from llm_manager.providers.dialects.openai_chat import request as write
from llm_manager.providers.dialects.openai_chat.embeddings import EmbeddingsReader
from llm_manager.providers.dialects.openai_chat.models import ModelsReader
from llm_manager.providers.dialects.openai_chat.reader import ChatBodyReader, ChatReader
from llm_manager.providers.dialects.openai_chat.rerank import OrderReader
from llm_manager.providers.dialects.openai_chat.stream import ChatStreamReader
from llm_manager.providers.dialects.policy import Policy
from llm_manager.providers.dialects.port import NewId, UpstreamCall


class OpenAiChat:
    """OpenAI's dialect with the facts of one kind."""

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

    def rerank(self, request: RerankInput, *, model: str, policy: Policy) -> UpstreamCall:
        """See `port.Reranks`."""
        return write.neutral_rerank(self._facts, request, model=model, policy=policy)

    def native_rerank(self, body: bytes, *, model: str, policy: Policy) -> UpstreamCall:
        """See `port.NativeReranks`."""
        return write.native_rerank(self._facts, body, model=model, policy=policy)

    def models(self) -> UpstreamCall:
        """See `port.ListsModels`."""
        return UpstreamCall("GET", self._facts.paths.models)

    def chat_reader(self, *, is_stream: bool) -> ChatReader:
        """See `port.Dialect`."""
        return self._reader(is_native=False, is_stream=is_stream)

    def native_chat_reader(self, *, is_stream: bool) -> ChatReader:
        """See `port.NativeChats`."""
        return self._reader(is_native=True, is_stream=is_stream)

    def embeddings_reader(self) -> EmbeddingsReader:
        """See `port.Embeds`."""
        return EmbeddingsReader(self._facts, is_native=False)

    def native_embeddings_reader(self, asked: bytes = b"") -> EmbeddingsReader:
        """See `port.NativeEmbeds`."""
        return EmbeddingsReader(self._facts, is_native=True, asked=asked)

    def rerank_reader(self) -> OrderReader:
        """See `port.Reranks`."""
        return OrderReader(self._facts, is_native=False)

    def native_rerank_reader(self) -> OrderReader:
        """See `port.NativeReranks`."""
        return OrderReader(self._facts, is_native=True)

    def models_reader(self) -> ModelsReader:
        """See `port.ListsModels`."""
        return ModelsReader(self._facts)

    def _reader(self, *, is_native: bool, is_stream: bool) -> ChatReader:
        reader = ChatStreamReader if is_stream else ChatBodyReader
        return reader(self._facts, is_native=is_native, new_id=self._new_id)
