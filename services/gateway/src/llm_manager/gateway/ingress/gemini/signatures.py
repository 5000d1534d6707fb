"""Carries another provider's blocks in `thoughtSignature`, which every client of the dialect sends back unchanged.

The field is bytes, so the packed text of `ingress.opaque` travels in base64; that is how `opaque.is_carried_in` knows
a body that holds some.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

from llm_manager.core.messages import OpaqueBlock
from llm_manager.gateway.ingress.gemini.parts import bytes_of
from llm_manager.gateway.ingress.opaque import packed, unpacked


def signature_of(blocks: Sequence[OpaqueBlock]) -> str:
    """Return blocks as a signature."""
    return base64.b64encode(packed(blocks).encode()).decode()


def blocks_in(signature: str) -> tuple[OpaqueBlock, ...] | None:
    """Return the blocks of a signature that `signature_of` made; None for Gemini's own, which nobody else can read."""
    data = bytes_of(signature)
    try:
        return None if data is None else unpacked(data.decode("ascii"))
    except UnicodeDecodeError:
        return None
