"""Calls that can be made: the words of `asking`, and a transport to send them with."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, closing
from dataclasses import dataclass, field

from .asking import ChatAsking, EmbedAsking
from .results import ChatAnswer, Embeddings, Gathered, Piece, chat_answer, embeddings
from .transport import AsyncHttpTransport, HttpTransport
from .wire import Outgoing


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatCall(ChatAsking):
    """A chat. Immutable: it can be run any number of times, by several threads at once."""

    transport: HttpTransport = field(repr=False, compare=False)

    def run(self) -> ChatAnswer:
        """Ask, and wait for the whole answer.

        Raises:
            LlmManagerError: it was refused or failed.
        """
        return chat_answer(self.transport.send(self.request(is_stream=False)))

    def stream(self) -> ChatStream:
        """Ask when the first piece is wanted, and yield the answer piece by piece."""
        return ChatStream(self.transport, self.request(is_stream=True))


class ChatStream:
    """The pieces of an answer, for one reader. Leaving it early closes the connection, and the platform stops.

    `with call.stream() as pieces:` closes it at the end of the block at the latest.
    """

    def __init__(self, transport: HttpTransport, request: Outgoing) -> None:
        self._gathered = Gathered()
        self._pieces = _pieces(transport, request, self._gathered)

    def __iter__(self) -> ChatStream:
        return self

    def __next__(self) -> Piece:
        return next(self._pieces)

    def __enter__(self) -> ChatStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._pieces.close()

    @property
    def answer(self) -> ChatAnswer:
        """What came so far, put together; usage and cost are None until the stream has ended."""
        return self._gathered.answer()


# apart from the class, so that the generator does not hold its owner: nobody holds both, and leaving closes at once
def _pieces(transport: HttpTransport, request: Outgoing, gathered: Gathered) -> Generator[Piece]:
    with closing(transport.events(request)) as events:
        for headers, event in events:
            yield from gathered.add(headers, event)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedCall(EmbedAsking):
    """A call for vectors. Immutable, as `ChatCall` is."""

    transport: HttpTransport = field(repr=False, compare=False)

    def run(self) -> Embeddings:
        """Ask, and wait for the vectors.

        Raises:
            LlmManagerError: it was refused or failed.
        """
        return embeddings(self.transport.send(self.request()))


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncChatCall(ChatAsking):
    """A chat. Immutable: it can be run any number of times, by several tasks at once."""

    transport: AsyncHttpTransport = field(repr=False, compare=False)

    async def run(self) -> ChatAnswer:
        """See `ChatCall.run`; a task that is cancelled closes the connection, and the platform stops."""
        return chat_answer(await self.transport.send(self.request(is_stream=False)))

    def stream(self) -> AsyncChatStream:
        """Ask when the first piece is wanted, and yield the answer piece by piece."""
        return AsyncChatStream(self.transport, self.request(is_stream=True))


class AsyncChatStream:
    """The pieces of an answer, for one reader; `async with` closes the connection when it is left early."""

    def __init__(self, transport: AsyncHttpTransport, request: Outgoing) -> None:
        self._gathered = Gathered()
        self._pieces = _async_pieces(transport, request, self._gathered)

    def __aiter__(self) -> AsyncChatStream:
        return self

    async def __anext__(self) -> Piece:
        return await anext(self._pieces)

    async def __aenter__(self) -> AsyncChatStream:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection."""
        await self._pieces.aclose()

    @property
    def answer(self) -> ChatAnswer:
        """What came so far, put together; usage and cost are None until the stream has ended."""
        return self._gathered.answer()


async def _async_pieces(transport: AsyncHttpTransport, request: Outgoing, gathered: Gathered) -> AsyncGenerator[Piece]:
    async with aclosing(transport.events(request)) as events:
        async for headers, event in events:
            for piece in gathered.add(headers, event):
                yield piece


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncEmbedCall(EmbedAsking):
    """A call for vectors. Immutable, as `AsyncChatCall` is."""

    transport: AsyncHttpTransport = field(repr=False, compare=False)

    async def run(self) -> Embeddings:
        """See `EmbedCall.run`."""
        return embeddings(await self.transport.send(self.request()))
