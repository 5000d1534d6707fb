"""Fields of a body that neutral words have no place for: they travel on as JSON, and the worker refuses what its
provider does not know.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Raw

# The gateway acts on these itself.
_CONSUMED = frozenset({"model", "stream"})
# Values that ask for what happens anyway.
_DEFAULTS: Mapping[str, frozenset[bytes]] = {
    "documents": frozenset({b"[]"}),
    "priority": frozenset({b"0"}),
    "raw_prompting": frozenset({b"false"}),
    "safety_mode": frozenset({b'"CONTEXTUAL"'}),
    # an error for what is too long, as every other provider of vectors gives one
    "truncate": frozenset({b'"NONE"'}),
}


def extension_of(body: bytes, *, known: frozenset[str]) -> bytes:
    """Return what is left of a body as a JSON object; empty when nothing is.

    Args:
        known: names that neutral words say.
    """
    rest: dict[str, Raw] = {}
    for name, value in msgspec.json.decode(body, type=dict[str, Raw]).items():
        text = bytes(value).strip()
        if name in known or name in _CONSUMED or text == b"null" or text in _DEFAULTS.get(name, ()):
            continue
        rest[name] = value
    return msgspec.json.encode(rest) if rest else b""
