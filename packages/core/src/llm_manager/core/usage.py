"""Counted tokens in disjoint integer buckets."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from operator import add, attrgetter

import msgspec


class Usage(msgspec.Struct, frozen=True):
    """Counts of one attempt; no token is in two buckets (known-failures L-8). See proto usage/v1/event.proto."""

    input_uncached: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    input_audio: int = 0
    input_image: int = 0
    output_text: int = 0
    output_reasoning: int = 0
    output_audio: int = 0
    output_image: int = 0
    search_units: int = 0
    requests: int = 0

    def __post_init__(self) -> None:
        counts = counts_of(self)
        if min(counts) < 0:
            name, count = next(pair for pair in zip(BUCKETS, counts, strict=True) if pair[1] < 0)
            raise ValueError(f"usage bucket {name} is negative: {count}")

    @property
    def input_total(self) -> int:
        """Every token of the prompt, cached or not: OpenAI's prompt_tokens."""
        return (
            self.input_uncached
            + self.cache_read
            + self.cache_write_5m
            + self.cache_write_1h
            + self.input_audio
            + self.input_image
        )

    @property
    def output_total(self) -> int:
        """Every token of the answer, reasoning included: OpenAI's completion_tokens."""
        return self.output_text + self.output_reasoning + self.output_audio + self.output_image

    def __add__(self, other: Usage) -> Usage:
        return Usage(*map(add, counts_of(self), counts_of(other)))


BUCKETS: tuple[str, ...] = Usage.__struct_fields__
# The counts of a Usage, or of its message, in the order of BUCKETS, which is that of Usage's arguments. One call in C
# instead of twelve getattr: every attempt is read so several times.
counts_of: Callable[[object], tuple[int, ...]] = attrgetter(*BUCKETS)


class AttemptState(StrEnum):
    """How an attempt ended."""

    OK = "ok"
    ERROR = "error"
    CANCELLED = "cancelled"
    CACHE_HIT = "cache_hit"


class Recorder(StrEnum):
    """Who wrote the record of an attempt."""

    WORKER = "worker"
    GATEWAY = "gateway"
    RECONCILER = "reconciler"


# Operations for which nobody is charged, so they have no attempt in the ledger.
FREE_OPERATIONS: frozenset[str] = frozenset({"models", "test", "count_tokens"})


class UsageSource(StrEnum):
    """Where counts come from."""

    PROVIDER = "provider"
    ESTIMATED = "estimated"
    UNKNOWN = "unknown"
    NONE = "none"


class UsageReport(msgspec.Struct, frozen=True):
    """Counts, where they come from, and the provider's own report.

    Args:
        raw: the provider's JSON, unknown keys included; empty when there was none.
        reported_cost_usd: cost in USD as the provider states it, as decimal text; None when it does not.
        billed: what is charged, where the provider charges other numbers than it counted (Cohere's billed_units); None
            where they are the same.
    """

    usage: Usage = msgspec.field(default_factory=Usage)
    source: UsageSource = UsageSource.NONE
    raw: bytes = b""
    reported_cost_usd: str | None = None
    billed: Usage | None = None
