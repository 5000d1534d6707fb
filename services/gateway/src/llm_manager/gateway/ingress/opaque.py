"""Carries provider blocks through dialects that have one opaque field: Anthropic's redacted_thinking, encrypted_content
of a Responses reasoning item, Gemini's thoughtSignature.

The text is `lm1.` and base64url of the blocks as JSON, so that a client that sends it back unchanged returns the blocks
byte for byte (known-failures B-17, T-14). It hides nothing and protects nothing: the blocks are the client's own
conversation.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

import msgspec

from llm_manager.core.messages import OpaqueBlock

_PREFIX = "lm1."
# How a packed text begins where a dialect wants bytes as base64 (Gemini): the first three bytes are one group.
_AS_BASE64 = b'"' + base64.b64encode(b"lm1")
# Where a dialect takes fields of ours, the blocks ride in this one as they are.
_FIELD = b'"provider_blocks"'


class _Carried(msgspec.Struct, frozen=True):
    dialect: str
    block: msgspec.Raw


_decoder = msgspec.json.Decoder(list[_Carried])


def packed(blocks: Sequence[OpaqueBlock]) -> str:
    """Return blocks as one text."""
    carried = [_Carried(block.dialect, msgspec.Raw(block.json)) for block in blocks]
    return _PREFIX + base64.urlsafe_b64encode(msgspec.json.encode(carried)).decode()


def unpacked(text: str) -> tuple[OpaqueBlock, ...] | None:
    """Return the blocks of a text that `packed` made; None for every other text: it belongs to a provider."""
    if not text.startswith(_PREFIX):
        return None
    try:
        carried = _decoder.decode(base64.urlsafe_b64decode(text.removeprefix(_PREFIX)))
    except (binascii.Error, ValueError, msgspec.DecodeError):
        return None
    return tuple(OpaqueBlock(dialect=item.dialect, json=bytes(item.block)) for item in carried)


def is_carried_in(body: bytes) -> bool:
    """Whether a request body may hold blocks of another provider, so that it cannot go through to one as it is."""
    return b'"lm1.' in body or _AS_BASE64 in body or _FIELD in body
