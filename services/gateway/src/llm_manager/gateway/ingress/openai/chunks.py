"""Streams in OpenAI's dialect, exactly as wire.md section 1 says."""

from __future__ import annotations

from typing import Protocol

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from llm_manager.core.deltas import (
    Annotation,
    AnswerInfo,
    Delta,
    Finish,
    Logprobs,
    OpaqueDelta,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallArguments,
    ToolCallStart,
)
from llm_manager.core.errors import UpstreamProtocolError
from llm_manager.gateway.inference.rules import Piece
from llm_manager.gateway.ingress.openai.extras import Extras

_OBJECT = "chat.completion.chunk"


class ChunkWriter(Protocol):
    """Turns pieces of an answer into chunks, one JSON document each."""

    def write(self, piece: Piece) -> list[bytes]:
        """Return the chunks of one piece, in order."""
        ...

    def finish(self, usage: bytes | None) -> list[bytes]:
        """Return what comes after the last piece: the usage chunk, when usage is given.

        Raises:
            UpstreamProtocolError: the answer ended without a finish.
        """
        ...


class NeutralChunks:
    """Chunks from neutral steps.

    Args:
        calls_functions: see `completion.Completion`.
    """

    def __init__(self, fallback: AnswerInfo, *, include_usage: bool, calls_functions: bool = False) -> None:
        self._info = fallback
        self._render = _function_choice if calls_functions else _choice
        self._include_usage = include_usage
        self._head = b""
        self._open: set[int] = set()
        self._closed: set[int] = set()
        self._held: dict[int, Extras] = {}

    def write(self, piece: Piece) -> list[bytes]:
        if piece.info is not None and not self._head:
            self._info = completed(piece.info, self._info)
        chunks: list[bytes] = []
        for delta in piece.deltas:
            if isinstance(delta, OpaqueDelta | Annotation):
                # collected into one chunk: the SDKs cannot put lists from several together
                self._held.setdefault(delta.choice, Extras()).add(delta)
                continue
            self._announce(delta, chunks)
            if isinstance(delta, Finish) and (extras := self._held.pop(delta.choice, None)):
                chunks.append(self._chunk(_with_delta(delta.choice, extras.fields())))
            chunks.append(self._chunk(self._render(delta)))
        return chunks

    def finish(self, usage: bytes | None) -> list[bytes]:
        if self._open or not self._closed:
            raise UpstreamProtocolError("The provider's answer ended without saying why; retry.")
        return [] if usage is None else [self._usage_chunk(usage)]

    def _announce(self, delta: Delta, chunks: list[bytes]) -> None:
        choice = delta.choice
        if choice in self._closed:
            raise UpstreamProtocolError(f"The provider went on with choice {choice} after its end; retry.")
        if choice not in self._open:
            self._open.add(choice)
            content = None if isinstance(delta, ToolCallStart) else ""
            chunks.append(self._chunk(_with_delta(choice, {"role": "assistant", "content": content})))
        if isinstance(delta, Finish):
            self._open.remove(choice)
            self._closed.add(choice)

    def _chunk(self, choice: dict[str, object]) -> bytes:
        end = b'],"usage":null}' if self._include_usage else b"]}"
        return self._start() + msgspec.json.encode(choice) + end

    def _usage_chunk(self, usage: bytes) -> bytes:
        return self._start() + b'],"usage":' + usage + b"}"

    def _start(self) -> bytes:
        if not self._head:
            self._head = msgspec.json.encode(_envelope(self._info))[:-1] + b',"choices":['
        return self._head


class NativeChunks:
    """Chunks of a provider that speaks OpenAI: they go through byte for byte, unknown fields included."""

    def __init__(self, fallback: AnswerInfo, *, include_usage: bool) -> None:
        self._envelope = _envelope(fallback)
        self._has_envelope = False
        self._include_usage = include_usage

    def write(self, piece: Piece) -> list[bytes]:
        if not self._include_usage:
            return list(piece.native)
        for event in piece.native:
            self._read(event)
        return [_with_null_usage(event) for event in piece.native]

    def finish(self, usage: bytes | None) -> list[bytes]:
        if usage is None:
            return []
        return [msgspec.json.encode({**self._envelope, "choices": [], "usage": Raw(usage)})]

    def _read(self, event: bytes) -> None:
        try:
            seen = _native_decoder.decode(event)
        except msgspec.DecodeError as error:
            raise UpstreamProtocolError("The provider's stream holds an event that is not a chunk; retry.") from error
        if not self._has_envelope:
            self._has_envelope = True
            known = {"id": seen.id, "created": seen.created, "model": seen.model}
            # a time of 0 is what the provider's own chunks carry, so the last one carries it too
            self._envelope |= {k: v for k, v in known.items() if v not in (None, "")}
        # Groq says the tier in its last chunk only
        if seen.system_fingerprint:
            self._envelope["system_fingerprint"] = seen.system_fingerprint
        if seen.service_tier:
            self._envelope["service_tier"] = seen.service_tier


class _NativeChunk(msgspec.Struct, frozen=True):
    id: str | None = None
    created: int | None = None
    model: str | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None


_native_decoder = msgspec.json.Decoder(_NativeChunk)


def _with_null_usage(event: bytes) -> bytes:
    # Inside a JSON string a quote is escaped, so these bytes can only be a key, at the top or further down.
    if b'"usage"' not in event:
        return event.rstrip()[:-1] + b',"usage":null}'
    members = msgspec.json.decode(event, type=dict[str, Raw])
    return msgspec.json.encode({**members, "usage": None})


def completed(info: AnswerInfo, fallback: AnswerInfo) -> AnswerInfo:
    """Fill in what a provider does not say about its answer."""
    return AnswerInfo(
        id=info.id or fallback.id,
        model=info.model or fallback.model,
        created=info.created or fallback.created,
        system_fingerprint=info.system_fingerprint,
        service_tier=info.service_tier,
    )


def _envelope(info: AnswerInfo) -> dict[str, object]:
    members: dict[str, object] = {"id": info.id, "object": _OBJECT, "created": info.created, "model": info.model}
    if info.system_fingerprint:
        members["system_fingerprint"] = info.system_fingerprint
    if info.service_tier:
        members["service_tier"] = info.service_tier
    return members


def _choice(delta: Delta) -> dict[str, object]:
    match delta:
        case TextDelta():
            return _with_delta(delta.choice, {"content": delta.text})
        case ReasoningDelta():
            return _with_delta(delta.choice, {"reasoning_content": delta.text})
        case RefusalDelta():
            return _with_delta(delta.choice, {"refusal": delta.text})
        case ToolCallStart():
            function = {"name": delta.name, "arguments": ""}
            call = {"index": delta.index, "id": delta.id, "type": "function", "function": function}
            return _with_delta(delta.choice, {"tool_calls": [call]})
        case ToolCallArguments():
            call = {"index": delta.index, "function": {"arguments": delta.fragment}}
            return _with_delta(delta.choice, {"tool_calls": [call]})
        case Logprobs():
            return _with_delta(delta.choice, {}, logprobs=Raw(delta.json))
        case Finish():
            return _with_delta(delta.choice, {}, finish_reason=delta.reason)
        case OpaqueDelta() | Annotation():
            return _with_delta(delta.choice, {})


def _function_choice(delta: Delta) -> dict[str, object]:
    """Render for a client that speaks of functions: the first call is a function_call, the rest are tool calls."""
    match delta:
        case ToolCallStart(index=0):
            return _with_delta(delta.choice, {"function_call": {"name": delta.name, "arguments": ""}})
        case ToolCallArguments(index=0):
            return _with_delta(delta.choice, {"function_call": {"arguments": delta.fragment}})
        case ToolCallStart() | ToolCallArguments():
            return _choice(replace(delta, index=delta.index - 1))
        case Finish():
            return _with_delta(delta.choice, {}, finish_reason=function_finish(delta.reason))
        case _:
            return _choice(delta)


def function_finish(reason: str) -> str:
    """Return a finish reason in the words of the time before there were tools."""
    return "function_call" if reason == "tool_calls" else reason


def _with_delta(
    choice: int, delta: dict[str, object], *, logprobs: Raw | None = None, finish_reason: str | None = None
) -> dict[str, object]:
    return {"index": choice, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}
