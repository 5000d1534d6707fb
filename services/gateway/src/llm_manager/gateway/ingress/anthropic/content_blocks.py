"""The content blocks of requests that neutral words can say.

Source: anthropic 2.12 `types/content_block_param.py`, read on 2026-11-24. Null fields are what the SDKs write when they
send an answer back.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Raw

from llm_manager.gateway.ingress.anthropic.request import CacheControl, Lenient, Strict


class Typed(Lenient, frozen=True):
    """Any block."""

    type: str


class CitationsConfig(Strict, frozen=True):
    """Whether the answer should say where it comes from."""

    enabled: bool | None = None


class Cited(Lenient, frozen=True):
    """Where a stretch of an answer comes from, as far as it shows who wrote it."""

    encrypted_index: str | None = None


class TextBlock(Strict, frozen=True, tag="text"):
    """Text."""

    text: str
    cache_control: CacheControl | None = None
    citations: list[Cited] | None = None


class Base64Source(Strict, frozen=True, tag="base64"):
    """Bytes."""

    data: str
    media_type: str


class UrlSource(Strict, frozen=True, tag="url"):
    """Address."""

    url: str


class FileSource(Strict, frozen=True, tag="file"):
    """File that the provider keeps."""

    file_id: str


class TextSource(Strict, frozen=True, tag="text"):
    """Plain text."""

    data: str
    media_type: Literal["text/plain"] = "text/plain"


class ContentSource(Strict, frozen=True, tag="content"):
    """Blocks."""

    content: str | list[Raw]


class ImageBlock(Strict, frozen=True, tag="image"):
    """Picture."""

    source: Base64Source | UrlSource | FileSource
    cache_control: CacheControl | None = None


class DocumentBlock(Strict, frozen=True, tag="document"):
    """Document."""

    source: Base64Source | UrlSource | FileSource | TextSource | ContentSource
    cache_control: CacheControl | None = None
    citations: CitationsConfig | None = None
    context: str | None = None
    title: str | None = None


class SearchResultBlock(Strict, frozen=True, tag="search_result"):
    """What the client's own search found."""

    content: list[TextBlock]
    source: str
    title: str
    cache_control: CacheControl | None = None
    citations: CitationsConfig | None = None


class Caller(Lenient, frozen=True):
    """Who made a call: the model, or code that the provider ran."""

    type: str


class ToolUseBlock(Strict, frozen=True, tag="tool_use"):
    """A call that the assistant made."""

    id: str
    name: str
    input: Raw
    cache_control: CacheControl | None = None
    caller: Caller | None = None
    toolset_name: str | None = None


class ToolResultBlock(Strict, frozen=True, tag="tool_result"):
    """What a tool answered."""

    tool_use_id: str
    content: str | list[Raw] | None = None
    is_error: bool | None = None
    cache_control: CacheControl | None = None
    toolset_name: None = None


class ThinkingBlock(Strict, frozen=True, tag="thinking"):
    """Reasoning, with the provider's signature."""

    thinking: str
    signature: str = ""


class RedactedThinkingBlock(Strict, frozen=True, tag="redacted_thinking"):
    """Reasoning that nobody but the provider can read; or blocks of another provider, see `ingress.opaque`."""

    data: str


def type_of(raw: Raw) -> str:
    """Return the type of a block; empty when it has none, so that decoding it says what is missing."""
    try:
        return msgspec.json.decode(raw, type=Typed).type
    except msgspec.ValidationError:
        return ""
