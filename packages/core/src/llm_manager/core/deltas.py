"""The neutral answer: steps in order, for streams and whole answers alike.

Mirrors proto inference/v1/chat.proto; the comments there hold here too.
"""

from __future__ import annotations

from typing import Literal

from llm_manager.core.messages import OpaqueBlock, Struct

FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


class TextDelta(Struct, frozen=True, kw_only=True):
    """More visible text."""

    text: str
    choice: int = 0


class ReasoningDelta(Struct, frozen=True, kw_only=True):
    """More reasoning text."""

    text: str
    choice: int = 0


class RefusalDelta(Struct, frozen=True, kw_only=True):
    """More refusal text."""

    text: str
    choice: int = 0


class ToolCallStart(Struct, frozen=True, kw_only=True):
    """A tool call begins; `index` is dense from 0 within the choice."""

    index: int
    id: str
    name: str
    choice: int = 0


class ToolCallArguments(Struct, frozen=True, kw_only=True):
    """More JSON text of the arguments of call `index`."""

    index: int
    fragment: str
    choice: int = 0


class Logprobs(Struct, frozen=True, kw_only=True):
    """Log probabilities in OpenAI's shape, as JSON."""

    json: bytes
    choice: int = 0


class Annotation(Struct, frozen=True, kw_only=True):
    """Where a part of the text comes from, in the shape of OpenAI's `message.annotations`, as JSON."""

    json: bytes
    choice: int = 0


class Finish(Struct, frozen=True, kw_only=True):
    """The choice ends; exactly one for each choice. A provider's failure is an error, never a finish."""

    reason: FinishReason
    native_reason: str = ""
    choice: int = 0


class OpaqueDelta(Struct, frozen=True, kw_only=True):
    """A block that only one dialect understands.

    A turn that neutral words cannot say whole (signatures, server tools) is sent once more in such blocks, all of them
    right before the finish of the choice; see `messages.OpaqueBlock`.
    """

    block: OpaqueBlock
    choice: int = 0


Delta = (
    TextDelta
    | ReasoningDelta
    | RefusalDelta
    | ToolCallStart
    | ToolCallArguments
    | Logprobs
    | Annotation
    | Finish
    | OpaqueDelta
)


class AnswerInfo(Struct, frozen=True, kw_only=True):
    """About an answer as a whole; `created` in Unix seconds."""

    id: str
    model: str
    created: int
    system_fingerprint: str = ""
    service_tier: str = ""


class Model(Struct, frozen=True, kw_only=True):
    """A model that a provider offers; `native` is its own description as JSON, or empty."""

    id: str
    created: int = 0
    owned_by: str = ""
    native: bytes = b""


class RerankResult(Struct, frozen=True, kw_only=True):
    """One document's place: `index` in the request, from 0; `score` as the provider gave it, higher is better."""

    index: int
    score: float


class UpstreamExchange(Struct, frozen=True, kw_only=True):
    """One HTTP exchange with a provider, told without secrets. Milliseconds from its beginning; `size` in bytes."""

    url: str
    method: str
    status: int
    headers_ms: int
    total_ms: int
    size: int
    content_type: str = ""
    preview: str = ""


class TokenCount(Struct, frozen=True, kw_only=True):
    """Tokens of a prompt, as the provider counts them."""

    input_tokens: int
    cached_tokens: int = 0
