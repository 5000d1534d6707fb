"""A piece of a body that was kept as JSON, decoded at its place."""

from __future__ import annotations

from typing import TypeVar

from msgspec import Raw

from llm_manager.core.errors import InvalidRequest
from llm_manager.gateway.ingress.decoding import WHOLE, decode

T = TypeVar("T")


def decode_at(raw: Raw | bytes, kind: type[T], *, path: str, strict: bool = True) -> T:
    """Decode a piece of a body; the errors are those of `decode`, and name the field from the top of the body.

    Args:
        path: where the piece stands, for example `messages[2].content[0]`.
        strict: see `decode`.
    """
    try:
        return decode(bytes(raw), kind, strict=strict)
    except InvalidRequest as error:
        param = path if error.param is None else f"{path}.{error.param}"
        raise type(error)(f"{path}: {error.message.removeprefix(WHOLE)}", param=param) from error
