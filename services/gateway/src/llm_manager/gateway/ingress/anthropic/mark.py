"""Marks what looks like Anthropic's own and is not.

Anthropic's types want a signature on thinking and an encrypted index on citations, which no other provider has. An
empty one would come back with the next turn and be refused by Anthropic when the conversation has moved there. What
stands in instead is packed like blocks of another provider, and holds none: requests that carry it are translated,
and what it marks is told apart from what Anthropic signed.
"""

from __future__ import annotations

from llm_manager.gateway.ingress.opaque import packed, unpacked

MARK = packed(())


def is_marked(text: str) -> bool:
    """Return whether a signature was put there by `MARK`, or is empty as other gateways leave it."""
    return not text or unpacked(text) is not None
