"""Answers of legacy text completions: whole ones, and streams whose `text` is never null."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from llm_manager.core.deltas import (
    AnswerInfo,
    Delta,
    Finish,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallArguments,
    ToolCallStart,
)
from llm_manager.core.errors import UpstreamProtocolError
from llm_manager.gateway.inference.rules import Piece
from llm_manager.gateway.ingress.openai.chunks import completed

_OBJECT = "text_completion"


class TextCompletion:
    """Collects neutral steps into one `text_completion`."""

    def __init__(self, fallback: AnswerInfo) -> None:
        self._info = fallback
        self._choices: dict[int, dict[str, str | None]] = {}

    def add(self, piece: Piece) -> None:
        """Take the next piece."""
        if piece.info is not None:
            self._info = completed(piece.info, self._info)
        for delta in piece.deltas:
            step = _step(delta)
            if step is None:
                continue
            choice = self._choices.setdefault(delta.choice, {"text": ""})
            for name, value in step.items():
                choice[name] = value if name == "finish_reason" else (choice.get(name) or "") + (value or "")

    def body(self, usage: bytes) -> bytes:
        """Render the answer.

        Raises:
            UpstreamProtocolError: a choice has no finish, so the answer is not whole.
        """
        if not self._choices or any("finish_reason" not in choice for choice in self._choices.values()):
            raise UpstreamProtocolError("The provider's answer ended without saying why; retry.")
        choices = [{"index": index, "logprobs": None, **self._choices[index]} for index in sorted(self._choices)]
        return msgspec.json.encode({**_envelope(self._info), "choices": choices, "usage": Raw(usage)})


class NeutralTextChunks:
    """Chunks from neutral steps; the protocol is `chunks.ChunkWriter`."""

    def __init__(self, fallback: AnswerInfo, *, include_usage: bool) -> None:
        self._info = fallback
        self._include_usage = include_usage
        self._open: set[int] = set()
        self._closed: set[int] = set()
        self._has_begun = False

    def write(self, piece: Piece) -> list[bytes]:
        """See `chunks.ChunkWriter`."""
        if piece.info is not None and not self._has_begun:
            self._info = completed(piece.info, self._info)
        return [self._chunk(delta.choice, step) for delta in piece.deltas if (step := self._checked(delta)) is not None]

    def finish(self, usage: bytes | None) -> list[bytes]:
        """See `chunks.ChunkWriter`."""
        if self._open or not self._closed:
            raise UpstreamProtocolError("The provider's answer ended without saying why; retry.")
        return [] if usage is None else [_usage_chunk(_envelope(self._info), usage)]

    def _checked(self, delta: Delta) -> dict[str, str | None] | None:
        step = _step(delta)
        if step is None:
            return None
        if delta.choice in self._closed:
            raise UpstreamProtocolError(f"The provider went on with choice {delta.choice} after its end; retry.")
        if isinstance(delta, Finish):
            self._open.discard(delta.choice)
            self._closed.add(delta.choice)
        else:
            self._open.add(delta.choice)
        return step

    def _chunk(self, index: int, step: dict[str, str | None]) -> bytes:
        self._has_begun = True
        choice = {"text": "", "index": index, "logprobs": None, "finish_reason": None, **step}
        members: dict[str, object] = {**_envelope(self._info), "choices": [choice]}
        if self._include_usage:
            members["usage"] = None
        return msgspec.json.encode(members)


class NativeTextChunks:
    """Chunks of a provider that completes texts itself: as they came, but for usage, which only who asks for it gets.

    The protocol is `chunks.ChunkWriter`.
    """

    def __init__(self, fallback: AnswerInfo, *, include_usage: bool) -> None:
        self._envelope = _envelope(fallback)
        self._include_usage = include_usage
        self._has_begun = False

    def write(self, piece: Piece) -> list[bytes]:
        """See `chunks.ChunkWriter`."""
        return [chunk for event in piece.native if (chunk := self._written(event)) is not None]

    def finish(self, usage: bytes | None) -> list[bytes]:
        """See `chunks.ChunkWriter`."""
        return [] if usage is None else [_usage_chunk(self._envelope, usage)]

    def _written(self, event: bytes) -> bytes | None:
        try:
            seen = _native_decoder.decode(event)
        except msgspec.DecodeError as error:
            raise UpstreamProtocolError("The provider's stream holds an event that is not a chunk; retry.") from error
        if not self._has_begun:
            self._has_begun = True
            known = {"id": seen.id, "created": seen.created, "model": seen.model}
            self._envelope |= {name: value for name, value in known.items() if value not in (None, "")}
        if not seen.choices and seen.has_usage:
            # ours, which is exact and priced, comes at the end
            return None
        if not seen.has_usage and (not self._include_usage or b'"usage"' in event):
            return event
        members = msgspec.json.decode(event, type=dict[str, Raw])
        members.pop("usage", None)
        return msgspec.json.encode({**members, "usage": None} if self._include_usage else members)


class _NativeChunk(msgspec.Struct, frozen=True):
    id: str | None = None
    created: int | None = None
    model: str | None = None
    choices: list[Raw] = []
    usage: Raw = Raw()

    @property
    def has_usage(self) -> bool:
        return bytes(self.usage) not in (b"", b"null")


_native_decoder = msgspec.json.Decoder(_NativeChunk)


def _step(delta: Delta) -> dict[str, str | None] | None:
    """What a step adds to its choice; None for what a completion has no place for."""
    match delta:
        case TextDelta() | RefusalDelta():
            # a refusal is what the model wrote, and a completion has no other place for words
            return {"text": delta.text}
        case ReasoningDelta():
            return {"reasoning_content": delta.text}
        case Finish():
            return {"text": "", "finish_reason": delta.reason}
        case ToolCallStart() | ToolCallArguments():
            raise UpstreamProtocolError("The provider called a tool, and none was offered; retry.")
        case _:
            return None


def _envelope(info: AnswerInfo) -> dict[str, object]:
    members: dict[str, object] = {"id": info.id, "object": _OBJECT, "created": info.created, "model": info.model}
    if info.system_fingerprint:
        members["system_fingerprint"] = info.system_fingerprint
    return members


def _usage_chunk(envelope: dict[str, object], usage: bytes) -> bytes:
    return msgspec.json.encode({**envelope, "choices": [], "usage": Raw(usage)})
