"""The dialect as the worker sees it; the protocols are `port.Dialect` and `port.NativeDialect`."""

from __future__ import annotations

from llm_manager.core.facts import Facts
from llm_manager.core.messages import ChatInput, EmbeddingsInput
from llm_manager.providers.dialects.openai_chat import request as write
from llm_manager.providers.dialects.openai_chat.embeddings import EmbeddingsReader
from llm_manager.providers.dialects.openai_chat.models import ModelsReader
from llm_manager.providers.dialects.openai_chat.reader import ChatBodyReader, ChatReader, ChatStreamReader
from llm_manager.providers.dialects.port import NewId, UpstreamCall


class OpenAiChat:
    """OpenAI's dialect with the facts of one kind."""

    def __init__(self, facts: Facts, *, new_id: NewId) -> None:
        self._facts = facts
        self._new_id = new_id

    def chat(self, request: ChatInput, *, model: str, is_stream: bool) -> UpstreamCall:
        """See `port.Dialect`."""
        return write.neutral_chat(self._facts, request, model=model, is_stream=is_stream)

    def native_chat(self, body: bytes, *, model: str, is_stream: bool) -> UpstreamCall:
        """See `port.NativeDialect`."""
        return write.native_chat(self._facts, body, model=model, is_stream=is_stream)

    def embeddings(self, request: EmbeddingsInput, *, model: str) -> UpstreamCall:
        """See `port.Dialect`."""
        return write.neutral_embeddings(self._facts, request, model=model)

    def native_embeddings(self, body: bytes, *, model: str) -> UpstreamCall:
        """See `port.NativeDialect`."""
        return write.native_embeddings(self._facts, body, model=model)

    def models(self) -> UpstreamCall:
        """See `port.Dialect`."""
        return UpstreamCall("GET", self._facts.paths.models)

    def chat_reader(self, *, is_stream: bool) -> ChatReader:
        """See `port.Dialect`."""
        return self._reader(is_native=False, is_stream=is_stream)

    def native_chat_reader(self, *, is_stream: bool) -> ChatReader:
        """See `port.NativeDialect`."""
        return self._reader(is_native=True, is_stream=is_stream)

    def embeddings_reader(self) -> EmbeddingsReader:
        """See `port.Dialect`."""
        return EmbeddingsReader(self._facts, is_native=False)

    def native_embeddings_reader(self) -> EmbeddingsReader:
        """See `port.NativeDialect`."""
        return EmbeddingsReader(self._facts, is_native=True)

    def _reader(self, *, is_native: bool, is_stream: bool) -> ChatReader:
        reader = ChatStreamReader if is_stream else ChatBodyReader
        return reader(self._facts, is_native=is_native, new_id=self._new_id)

    def models_reader(self) -> ModelsReader:
        """See `port.Dialect`."""
        return ModelsReader(self._facts)
