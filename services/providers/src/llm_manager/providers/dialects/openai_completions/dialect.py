"""The dialect as the worker sees it; the protocol is `port.NativeChats`.

Nothing is said to it in neutral words: a conversation is no text to go on with, and a client that asks a model which
only chats is translated by the gateway.
"""

from __future__ import annotations

from llm_manager.core.facts import Facts
from llm_manager.providers.dialects.openai_chat.reader import ChatReader
from llm_manager.providers.dialects.openai_completions import request as write
from llm_manager.providers.dialects.openai_completions.reader import TextBodyReader, TextStreamReader
from llm_manager.providers.dialects.policy import Policy
from llm_manager.providers.dialects.port import NewId, UpstreamCall


class OpenAiCompletions:
    """Legacy completions with the facts of one kind."""

    def __init__(self, facts: Facts, *, new_id: NewId) -> None:
        self._facts = facts
        self._new_id = new_id

    def native_chat(self, body: bytes, *, model: str, is_stream: bool, policy: Policy) -> UpstreamCall:
        """See `port.NativeChats`."""
        return write.native_completion(self._facts, body, model=model, is_stream=is_stream, policy=policy)

    def native_chat_reader(self, *, is_stream: bool) -> ChatReader:
        """See `port.NativeChats`."""
        reader = TextStreamReader if is_stream else TextBodyReader
        return reader(self._facts, new_id=self._new_id)
