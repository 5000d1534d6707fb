"""Reads JSON the way protobuf writes it: names in camel or snake case, null for absent, one object for a list of one.

Source: https://protobuf.dev/programming-guides/json, read on 2026-11-26. That a lone object may stand for a list is
what Google's servers take, and its own examples and recorded clients send it (`"parts": {"text": …}`, `"tools": {…}`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

import msgspec
from msgspec import Raw

from llm_manager.core.errors import InvalidRequest
from llm_manager.gateway.ingress.decoding import decode
from llm_manager.gateway.ingress.located import decode_at

T = TypeVar("T", bound="Lenient | Strict")

_SNAKE = re.compile(r"(?<=[a-zA-Z0-9])_+([a-zA-Z0-9])")
_NOTHING = (b"", b"null")


class Lenient(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Takes unknown fields; what they mean is decided elsewhere."""


class Strict(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """An unknown field is an error: it could not be passed on, and dropping it in silence would be a lie."""


def camel(name: str) -> str:
    """Return a name in camel case; one that is so already stays as it is."""
    return _SNAKE.sub(lambda match: match[1].upper(), name)


def read(raw: Raw | bytes, kind: type[T], *, path: str = "") -> T:
    """Decode an object into a struct.

    Args:
        path: where it stands, for example `contents[0].parts[1]`; empty for the whole body.

    Raises:
        InvalidRequest: a field is wrong; `param` names it from the top of the body.
        UnsupportedParameter: a strict struct has no such field.
    """
    said = members(raw, known=frozenset(kind.__struct_encode_fields__), path=path)
    body = msgspec.json.encode(said)
    return decode_at(body, kind, path=path, strict=False) if path else decode(body, kind, strict=False)


def members(raw: Raw | bytes, *, known: frozenset[str], path: str = "") -> Mapping[str, Raw]:
    """Return what an object says, null left out.

    Args:
        known: names in camel case; another spelling of one of them is taken for it, every other name stays as it is.

    Raises:
        InvalidRequest: not an object, or one field in both spellings.
    """
    body = bytes(raw)
    found = decode_at(body, dict[str, Raw], path=path) if path else decode(body, dict[str, Raw])
    said: dict[str, Raw] = {}
    for name, value in found.items():
        if is_nothing(value):
            continue
        spelt = camel(name)
        key = spelt if spelt in known else name
        if key in said:
            where = f"{path}.{name}" if path else name
            raise InvalidRequest(f"{where} is given twice, as {key} and {name}; send one.", param=where)
        said[key] = value
    return said


def is_nothing(raw: Raw) -> bool:
    """Return whether a field is absent, or null, which means the same."""
    return bytes(raw) in _NOTHING


def items(raw: Raw, *, path: str) -> list[Raw]:
    """Return the items of a list, or of the one object that stands for it.

    Raises:
        InvalidRequest: it is neither.
    """
    body = bytes(raw)
    if body.startswith(b"{"):
        return [raw]
    if not body.startswith(b"["):
        raise InvalidRequest(f"{path} is not a list.", param=path)
    return msgspec.json.decode(body, type=list[Raw])


def under(path: str, name: str) -> str:
    """Return the place of a field of what stands at `path`; empty is the top of the body."""
    return f"{path}.{name}" if path else name
