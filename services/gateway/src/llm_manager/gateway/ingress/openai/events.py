"""A streamed chat as OpenAI's server-sent events: chunks, one usage chunk, `[DONE]`, or an error without it."""

from __future__ import annotations

from collections.abc import Callable

from llm_manager.core.errors import LlmManagerError
from llm_manager.gateway.errors import error_body
from llm_manager.gateway.inference.rules import Outcome, Piece
from llm_manager.gateway.ingress.native import EVENT_STREAM
from llm_manager.gateway.ingress.openai.chunks import ChunkWriter
from llm_manager.kit.sse import comment, data_event

_PING, _DONE = comment("ping"), data_event(b"[DONE]")


class ChunkEvents:
    """Frames chunks; the protocol is `writer.AnswerWriter`.

    Args:
        usage: renders the outcome for the usage chunk; None when the client did not ask for one.
    """

    media_type = EVENT_STREAM
    ping = _PING

    def __init__(self, chunks: ChunkWriter, *, usage: Callable[[Outcome], bytes] | None) -> None:
        self._chunks = chunks
        self._usage = usage

    def write(self, piece: Piece) -> bytes:
        """See `writer.AnswerWriter`."""
        return b"".join(map(data_event, self._chunks.write(piece)))

    def finish(self, outcome: Outcome) -> bytes:
        """See `writer.AnswerWriter`."""
        last = self._chunks.finish(None if self._usage is None else self._usage(outcome))
        return b"".join(map(data_event, last)) + _DONE

    def fail(self, error: LlmManagerError, *, request_id: str) -> bytes:  # noqa: ARG002 # it is in the headers
        """See `writer.AnswerWriter`."""
        return data_event(error_body(error))
