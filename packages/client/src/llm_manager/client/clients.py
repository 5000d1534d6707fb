"""Where everything begins: a client of one platform, with one key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .asking import DEFAULT_MODEL, texts_of
from .calls import AsyncChatCall, AsyncEmbedCall, ChatCall, EmbedCall
from .results import ChatAnswer
from .transport import AsyncHttpTransport, HttpTransport
from .wire import DEADLINE_SECONDS

if TYPE_CHECKING:
    from .admin import Admin, AsyncAdmin


class Client:
    """A client of one platform. Threads may share one; two of them share nothing.

    Args:
        base_url: address of the platform, with or without `/v1`.
        api_key: for calls of models, and for the admin API where its scopes allow it.
        user: of the admin API, with `password`, instead of `api_key`.
        timeout_seconds: longest time for one call, its retries included.
        max_retries: how often a call that can safely be sent again is; 0 switches that off.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        user: str | None = None,
        password: str | None = None,
        timeout_seconds: float = DEADLINE_SECONDS,
        max_retries: int = 2,
    ) -> None:
        self.transport = HttpTransport(
            base_url,
            api_key=api_key,
            user=user,
            password=password,
            timeout_seconds=timeout_seconds,
            max_retries=max_retries,
        )

    def __repr__(self) -> str:
        return f"Client({self.transport.origin!r})"

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self.transport.close()

    def chat(self, *messages: str | Mapping[str, Any]) -> ChatCall:
        """Begin a chat with messages: texts of the user's, or messages in OpenAI's form."""
        return ChatCall(transport=self.transport).with_messages(*messages)

    def generate(self, prompt: str, *, model: str = DEFAULT_MODEL) -> ChatAnswer:
        """Answer one prompt; `chat(prompt)` has the words for everything else.

        Raises:
            LlmManagerError: it was refused or failed.
        """
        return self.chat(prompt).with_model(model).run()

    def embed(self, texts: str | Sequence[str]) -> EmbedCall:
        """Begin a call that turns texts into vectors."""
        return EmbedCall(texts=texts_of(texts), transport=self.transport)

    @property
    def admin(self) -> Admin:
        """The admin API, typed."""
        # imported late: calls of models need none of its classes
        from llm_manager.client.admin import Admin

        return Admin(self.transport)


class AsyncClient:
    """The same for asyncio; its parameters are those of `Client`. Tasks may share one; two of them share nothing."""

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        user: str | None = None,
        password: str | None = None,
        timeout_seconds: float = DEADLINE_SECONDS,
        max_retries: int = 2,
    ) -> None:
        self.transport = AsyncHttpTransport(
            base_url,
            api_key=api_key,
            user=user,
            password=password,
            timeout_seconds=timeout_seconds,
            max_retries=max_retries,
        )

    def __repr__(self) -> str:
        return f"AsyncClient({self.transport.origin!r})"

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self.transport.close()

    def chat(self, *messages: str | Mapping[str, Any]) -> AsyncChatCall:
        """See `Client.chat`."""
        return AsyncChatCall(transport=self.transport).with_messages(*messages)

    async def generate(self, prompt: str, *, model: str = DEFAULT_MODEL) -> ChatAnswer:
        """See `Client.generate`."""
        return await self.chat(prompt).with_model(model).run()

    def embed(self, texts: str | Sequence[str]) -> AsyncEmbedCall:
        """See `Client.embed`."""
        return AsyncEmbedCall(texts=texts_of(texts), transport=self.transport)

    @property
    def admin(self) -> AsyncAdmin:
        """The admin API, typed."""
        # imported late: calls of models need none of its classes
        from llm_manager.client.admin import AsyncAdmin

        return AsyncAdmin(self.transport)
