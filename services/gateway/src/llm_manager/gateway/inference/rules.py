"""What a call asks and what came of it; pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from llm_manager.core.deltas import AnswerInfo, Delta, Model, RerankResult, TokenCount, UpstreamExchange
from llm_manager.core.estimates import tokens_of
from llm_manager.core.messages import ChatInput, CountTokensInput, EmbeddingsInput, RerankInput
from llm_manager.core.prices import Cost, CostState
from llm_manager.core.usage import Usage, UsageReport, UsageSource
from llm_manager.gateway.inference.profile import ModelProfile

Operation = Literal["chat", "embeddings", "rerank", "count_tokens", "models", "test"]


class NativeBody(msgspec.Struct, frozen=True):
    """A body in the client's dialect, which the provider speaks too.

    Args:
        headers: those of the client that belong to the dialect (anthropic-beta), lower-case names.
    """

    dialect: str
    body: bytes
    headers: Mapping[str, str] = {}


class EncodedInput(msgspec.Struct, frozen=True):
    """A neutral input that is already in the form of the contract, from another service."""

    message: bytes


class ModelsQuery(msgspec.Struct, frozen=True):
    """The question which models there are."""


class ConnectionTest(msgspec.Struct, frozen=True):
    """The question whether a provider answers."""


NeutralInput = ChatInput | EmbeddingsInput | RerankInput | CountTokensInput
Input = NativeBody | NeutralInput | EncodedInput | ModelsQuery | ConnectionTest


class Caller(msgspec.Struct, frozen=True):
    """Who calls, after the key was checked."""

    app_id: str
    api_key_id: str


class Target(msgspec.Struct, frozen=True):
    """Where a call goes.

    Args:
        credentials: sealed, only workers open them; each attempt uses the next one.
        headers: a sealed JSON object of the provider's own headers.
        paths: by operation, where they differ from the kind's.
        timeouts: milliseconds by the name of the limit.
        is_trusted: the base URL may lead to a private address.
        parameters: what the call gets unless it says otherwise, in OpenAI's names.
        adapts_parameters: the configuration allows to leave out or change what the provider does not take.
        dialects: those of the kind that this very provider speaks; None when nobody found out.
    """

    provider: str
    kind: str
    upstream_model: str
    base_url: str = ""
    credentials: Sequence[bytes] = ()
    headers: bytes = b""
    paths: Mapping[str, str] = {}
    timeouts: Mapping[str, int] = {}
    is_trusted: bool = False
    configuration: str = ""
    tags: Mapping[str, str] = {}
    adapts_parameters: bool = False
    # Any: JSON of any shape
    parameters: Mapping[str, Any] = {}
    dialects: Sequence[str] | None = None
    profile: ModelProfile = msgspec.field(default_factory=ModelProfile)


class Call(msgspec.Struct, frozen=True):
    """One admitted call.

    Args:
        requested_model: what the client wrote in `model`.
        deadline_seconds: left for the whole call.
    """

    request_id: str
    caller: Caller
    target: Target
    operation: Operation
    input: Input
    requested_model: str
    deadline_seconds: float
    is_stream: bool = False
    end_user: str = ""


class Opening(msgspec.Struct, frozen=True):
    """What is known when the provider begins to answer a stream.

    Args:
        warnings: what was changed about the request, in words.
        dropped: names of the parameters among them that were left out.
    """

    upstream_request_id: str = ""
    upstream_headers: Mapping[str, str] = {}
    warnings: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


class Piece(msgspec.Struct, frozen=True):
    """A piece of an answer: either neutral steps or documents in the client's dialect.

    Args:
        characters: how many of the answer it adds, for the estimate of an attempt that is lost.
    """

    info: AnswerInfo | None = None
    deltas: tuple[Delta, ...] = ()
    native: tuple[bytes, ...] = ()
    embeddings: tuple[Sequence[float], ...] = ()
    models: tuple[Model, ...] = ()
    rerank: tuple[RerankResult, ...] = ()
    token_count: TokenCount | None = None
    exchange: UpstreamExchange | None = None
    opening: Opening | None = None
    characters: int = 0


class Outcome(msgspec.Struct, frozen=True):
    """What a finished attempt used and cost."""

    report: UsageReport = msgspec.field(default_factory=UsageReport)
    cost: Cost = msgspec.field(default_factory=lambda: Cost(CostState.UNPRICED, None))
    upstream_request_id: str = ""
    upstream_headers: Mapping[str, str] = {}
    response_model: str = ""
    warnings: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


def estimated_report(*, input_characters: int, output_characters: int) -> UsageReport:
    """Estimate what a lost attempt used; UNKNOWN when nothing of the answer was seen."""
    if not output_characters:
        return UsageReport(Usage(), UsageSource.UNKNOWN)
    usage = Usage(input_uncached=tokens_of(input_characters), output_text=tokens_of(output_characters), requests=1)
    return UsageReport(usage, UsageSource.ESTIMATED)


def client_deadline(*, limit_seconds: float, read_timeout_header: str | None, is_stream: bool) -> float:
    """Return how long a call may take.

    The SDKs of the Stainless family say how long they wait for bytes. It is a hint not to work on after they gave up,
    so it never ends a whole answer earlier than it says; a stream has heartbeats, so it does not bound one.
    """
    if is_stream or not read_timeout_header:
        return limit_seconds
    try:
        hint = float(read_timeout_header)
    except ValueError:
        return limit_seconds
    if not math.isfinite(hint) or hint <= 0:
        return limit_seconds
    return min(limit_seconds, hint)
