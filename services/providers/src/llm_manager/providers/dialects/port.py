"""What the worker asks of a dialect, and what a dialect hands back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

import msgspec

from llm_manager.core.deltas import AnswerInfo, Delta, Model, RerankResult, TokenCount, UpstreamExchange
from llm_manager.core.errors import LlmManagerError
from llm_manager.core.messages import ChatInput, EmbeddingsInput, RerankInput
from llm_manager.core.usage import UsageReport
from llm_manager.providers.dialects.estimate import Written
from llm_manager.providers.dialects.policy import Policy

NewId = Callable[[], str]


class UpstreamCall(msgspec.Struct, frozen=True):
    """One HTTP request to a provider; `path` is below the base URL and may end in a query.

    Args:
        headers: beside those of the facts; lower-case names.
        prompt: what the provider counts as input, for an estimate where it reports nothing.
    """

    method: str
    path: str
    body: bytes = b""
    prompt: Callable[[], int] = lambda: 0
    headers: Mapping[str, str] = {}


class Pieces(msgspec.Struct):
    """Steps of an answer, ready to be sent; at most one of the lists is filled, by the form that was asked for."""

    info: AnswerInfo | None = None
    deltas: list[Delta] = []
    native: list[bytes] = []
    embeddings: list[Sequence[float]] = []
    models: list[Model] = []
    rerank: list[RerankResult] = []
    token_count: TokenCount | None = None
    exchange: UpstreamExchange | None = None

    def __bool__(self) -> bool:
        filled = (self.deltas, self.native, self.embeddings, self.models, self.rerank, self.info, self.token_count)
        return any(filled) or self.exchange is not None

    def extend(self, other: Pieces) -> None:
        """Append what comes next."""
        self.info = self.info or other.info
        self.deltas += other.deltas
        self.native += other.native
        self.embeddings += other.embeddings
        self.models += other.models
        self.rerank += other.rerank
        self.token_count = self.token_count or other.token_count


class AnswerReader(Protocol):
    """Reads one answer. After an error it goes on reading for the usage that may follow, and writes no more pieces."""

    @property
    def error(self) -> LlmManagerError | None:
        """The failure that the answer held, if any. A provider's failure is never a finish."""
        ...

    @property
    def is_done(self) -> bool:
        """True when the answer said that it is over: nothing more needs to be read."""
        ...

    @property
    def written(self) -> Written:
        """What was said so far."""
        ...

    @property
    def response_model(self) -> str:
        """Model that the provider says it used; empty when it did not say."""
        ...

    @property
    def finish_reason(self) -> str:
        """Finish of the first choice in OpenAI's words; empty while there is none."""
        ...

    @property
    def native_finish_reason(self) -> str:
        """Finish of the first choice in the provider's words."""
        ...

    @property
    def unknown_finish_reasons(self) -> Sequence[str]:
        """Words that the facts do not know; they were mapped to `length`, the answer that promises least."""
        ...

    def feed(self, data: bytes) -> Pieces:
        """Take the next bytes, split anywhere."""
        ...

    def finish(self) -> Pieces:
        """Take the end of the answer. A missing end is an error."""
        ...

    def usage(self) -> UsageReport | None:
        """The provider's own last report, None while there is none."""
        ...


@runtime_checkable
class Dialect(Protocol):
    """One wire format. What it can do beside chats, it says by the protocols below; the facts decide what is asked."""

    def chat(self, request: ChatInput, *, model: str, is_stream: bool, policy: Policy) -> UpstreamCall:
        """Write a chat.

        Raises:
            UnsupportedParameter: the provider cannot do what is asked, and the policy refuses.
            InvalidRequest: the request cannot be written in this dialect.
        """
        ...

    def chat_reader(self, *, is_stream: bool) -> AnswerReader:
        """Read the answer of a chat."""
        ...


@runtime_checkable
class Embeds(Protocol):
    """Makes vectors."""

    def embeddings(self, request: EmbeddingsInput, *, model: str, policy: Policy) -> UpstreamCall:
        """Write a request for vectors."""
        ...

    def embeddings_reader(self) -> AnswerReader:
        """Read vectors."""
        ...


@runtime_checkable
class Reranks(Protocol):
    """Orders documents."""

    def rerank(self, request: RerankInput, *, model: str, policy: Policy) -> UpstreamCall:
        """Write a request for an order."""
        ...

    def rerank_reader(self) -> AnswerReader:
        """Read an order."""
        ...


@runtime_checkable
class CountsTokens(Protocol):
    """Counts prompts."""

    def count_tokens(self, request: ChatInput, *, model: str, policy: Policy) -> UpstreamCall:
        """Write a request for the size of a prompt."""
        ...

    def count_tokens_reader(self) -> AnswerReader:
        """Read the size of a prompt."""
        ...


@runtime_checkable
class ListsModels(Protocol):
    """Lists models."""

    def models(self) -> UpstreamCall:
        """Write a request for the list of models."""
        ...

    def models_reader(self) -> AnswerReader:
        """Read a list of models."""
        ...


@runtime_checkable
class NativeChats(Protocol):
    """A wire format that clients speak too: their bodies and the answers pass with as few changes as possible.

    What a native reader hands out are whole JSON documents: one for each event of a stream, or the one body. Dialects
    other than OpenAI's keep the usage in them as it came.
    """

    def native_chat(self, body: bytes, *, model: str, is_stream: bool, policy: Policy) -> UpstreamCall:
        """Write a chat from a client's own body."""
        ...

    def native_chat_reader(self, *, is_stream: bool) -> AnswerReader:
        """Read the answer of a chat for a client of this dialect."""
        ...


@runtime_checkable
class NativeEmbeds(Protocol):
    """Makes vectors for clients of its own dialect."""

    def native_embeddings(self, body: bytes, *, model: str, policy: Policy) -> UpstreamCall:
        """Write a request for vectors from a client's own body."""
        ...

    def native_embeddings_reader(self, asked: bytes = b"") -> AnswerReader:
        """Read vectors for a client of this dialect; `asked` is its body, which may name the form of vectors."""
        ...


@runtime_checkable
class NativeReranks(Protocol):
    """Orders documents for clients of its own dialect."""

    def native_rerank(self, body: bytes, *, model: str, policy: Policy) -> UpstreamCall:
        """Write a request for an order from a client's own body."""
        ...

    def native_rerank_reader(self) -> AnswerReader:
        """Read an order for a client of this dialect."""
        ...


@runtime_checkable
class NativeCountsTokens(Protocol):
    """Counts prompts for clients of its own dialect."""

    def native_count_tokens(self, body: bytes, *, model: str, policy: Policy) -> UpstreamCall:
        """Write a request for the size of a prompt from a client's own body."""
        ...

    def native_count_tokens_reader(self) -> AnswerReader:
        """Read the size of a prompt for a client of this dialect."""
        ...
