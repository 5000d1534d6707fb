"""langchain-tests: the standard suites of LangChain for chat models and embeddings, against LLM Manager.

Its tests of pictures fetch one from the internet and are left out; pictures are tested with each SDK.
"""

from __future__ import annotations

from langchain_anthropic import ChatAnthropic
from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from langchain_tests.integration_tests import ChatModelIntegrationTests, EmbeddingsIntegrationTests
from settings import API_KEY, EMBEDDING_MODEL, MODEL, URL


class TestOpenAiChat(ChatModelIntegrationTests):
    """ChatOpenAI over /v1/chat/completions."""

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        """The class under test."""
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict[str, object]:
        """How to make it."""
        return {"model": MODEL, "base_url": f"{URL}/v1", "api_key": API_KEY, "stream_usage": True}


class TestAnthropicChat(ChatModelIntegrationTests):
    """ChatAnthropic over /v1/messages."""

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        """The class under test."""
        return ChatAnthropic

    @property
    def chat_model_params(self) -> dict[str, object]:
        """How to make it."""
        return {"model": MODEL, "base_url": URL, "api_key": API_KEY, "max_tokens": 1000}


class TestOpenAiEmbeddings(EmbeddingsIntegrationTests):
    """OpenAIEmbeddings over /v1/embeddings."""

    @property
    def embeddings_class(self) -> type[Embeddings]:
        """The class under test."""
        return OpenAIEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, object]:
        """How to make it."""
        return {
            "model": EMBEDDING_MODEL,
            "base_url": f"{URL}/v1",
            "api_key": API_KEY,
            "check_embedding_ctx_length": False,
        }
