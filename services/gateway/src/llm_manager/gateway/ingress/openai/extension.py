"""Fields of a body that neutral words have no place for: they travel on as JSON, and the worker refuses what its
provider does not know.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Raw

# What the gateway itself acts on: it is not dropped, so it need not travel to a provider that has no word for it.
_CONSUMED = frozenset({"model", "stream", "stream_options"})
# Values that ask for what happens anyway.
_DEFAULTS: Mapping[str, frozenset[bytes]] = {
    "store": frozenset({b"false"}),
    "modalities": frozenset({b'["text"]'}),
    "service_tier": frozenset({b'"auto"'}),
    "logit_bias": frozenset({b"{}"}),
}


def extension_of(body: bytes, *, known: frozenset[str]) -> bytes:
    """Return what is left of a body as a JSON object; empty when nothing is.

    Args:
        known: names that neutral words say.
    """
    rest: dict[str, Raw] = {}
    for name, value in msgspec.json.decode(body, type=dict[str, Raw]).items():
        text = bytes(value).strip()
        if name in known or name in _CONSUMED or text == b"null" or text.replace(b" ", b"") in _DEFAULTS.get(name, ()):
            continue
        rest[name] = value
    return msgspec.json.encode(rest) if rest else b""
