"""Embeddings in OpenAI's dialect: the request into neutral words, vectors into an answer."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw

from llm_manager.core.errors import UnsupportedParameter
from llm_manager.core.messages import EmbeddingsInput
from llm_manager.gateway.ingress.decoding import decode
from llm_manager.gateway.ingress.openai.chat_request import Lenient


class EmbeddingsHead(Lenient, frozen=True):
    """What the gateway itself reads of every embeddings request."""

    model: Annotated[str, Meta(min_length=1, max_length=512)]
    input: Raw
    user: str | None = None
    encoding_format: Literal["float", "base64"] | None = None


Tokens = Annotated[list[int], Meta(min_length=1)]


class _EmbeddingsRequest(Lenient, frozen=True):
    input: Annotated[str, Meta(min_length=1)] | Annotated[list[str | int | Tokens], Meta(min_length=1)]
    dimensions: Annotated[int, Meta(ge=1, le=2**20)] | None = None


_CONSUMED = frozenset({"model", "input", "dimensions", "user", "encoding_format"})


def embeddings_input(body: bytes) -> EmbeddingsInput:
    """Translate a request body.

    Raises:
        UnsupportedParameter: the input is given as tokens, which mean nothing to another provider's model.
    """
    request = decode(body, _EmbeddingsRequest)
    texts: list[str] = []
    for item in [request.input] if isinstance(request.input, str) else request.input:
        if not isinstance(item, str):
            raise UnsupportedParameter("This model embeds texts, not token numbers; send strings.", param="input")
        texts.append(item)
    members = msgspec.json.decode(body, type=dict[str, Raw])
    rest = {name: raw for name, raw in members.items() if name not in _CONSUMED and bytes(raw) != b"null"}
    return EmbeddingsInput(
        texts=tuple(texts), dimensions=request.dimensions, extension=msgspec.json.encode(rest) if rest else b""
    )


def embeddings_body(
    vectors: Sequence[Sequence[float]], *, model: str, usage: bytes, encoding_format: str | None
) -> bytes:
    """Render vectors; base64 means little-endian 32-bit floats, as the SDKs read them."""
    data = [
        {"object": "embedding", "index": i, "embedding": _encoded(vector) if encoding_format == "base64" else vector}
        for i, vector in enumerate(vectors)
    ]
    return msgspec.json.encode({"object": "list", "data": data, "model": model, "usage": Raw(usage)})


def _encoded(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
