"""Hints on what to keep of a prompt."""

from __future__ import annotations

import msgspec

from llm_manager.core.messages import CacheTtl, Media, Message, Part, Text, ToolCall, ToolResult
from llm_manager.gateway.ingress.anthropic.request import CacheControl

# Source: https://docs.claude.com/en/docs/build-with-claude/prompt-caching, read on 2026-11-24.
_DEFAULT_TTL: CacheTtl = "5m"


def cache_ttl(*controls: CacheControl | None) -> CacheTtl:
    """Return the hint of the first control that is there; empty when none is."""
    for control in controls:
        if control is not None:
            return control.ttl or _DEFAULT_TTL
    return ""


def kept(messages: tuple[Message, ...], control: CacheControl | None) -> tuple[Message, ...]:
    """Put the request's own hint on the last part that can carry one, as the provider does."""
    if control is None or not messages:
        return messages
    last = messages[-1]
    return (*messages[:-1], msgspec.structs.replace(last, parts=_kept(last.parts, cache_ttl(control))))


def _kept(parts: tuple[Part, ...], ttl: CacheTtl) -> tuple[Part, ...]:
    for number in reversed(range(len(parts))):
        part = parts[number]
        if isinstance(part, Text | Media | ToolCall | ToolResult):
            hinted = msgspec.structs.replace(part, cache_ttl=part.cache_ttl or ttl)
            return (*parts[:number], hinted, *parts[number + 1 :])
    return parts
