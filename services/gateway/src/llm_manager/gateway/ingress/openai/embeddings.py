"""Embeddings in OpenAI's dialect: the request into neutral words, vectors into an answer."""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw

from llm_manager.core.errors import UnsupportedParameter
from llm_manager.core.messages import EmbeddingPurpose, EmbeddingsInput
from llm_manager.gateway.ingress.decoding import ModelName, decode
from llm_manager.gateway.ingress.openai.chat_request import Lenient
from llm_manager.gateway.ingress.openai.extension import extension_of


class EmbeddingsHead(Lenient, frozen=True):
    """What the gateway itself reads of every embeddings request."""

    model: ModelName
    input: Raw
    user: str | None = None
    encoding_format: str | None = None


Tokens = Annotated[list[int], Meta(min_length=1)]


# An extension of ours, in the words of Cohere, Voyage and NVIDIA.
_InputType = Literal[
    "search_document", "search_query", "classification", "clustering", "similarity", "document", "passage", "query"
]
_PURPOSES: Mapping[str, EmbeddingPurpose] = {
    "document": "search_document",
    "passage": "search_document",
    "query": "search_query",
    "search_document": "search_document",
    "search_query": "search_query",
    "classification": "classification",
    "clustering": "clustering",
    "similarity": "similarity",
}


class _EmbeddingsRequest(Lenient, frozen=True):
    input: Annotated[str, Meta(min_length=1)] | Annotated[list[str | int | Tokens], Meta(min_length=1)]
    dimensions: Annotated[int, Meta(ge=1, le=2**20)] | None = None
    input_type: _InputType | None = None
    encoding_format: str | None = None


# What is written here for a provider of another dialect. One of OpenAI's dialect judges its own forms itself.
_OUR_FORMS = (None, "float", "base64")
_KNOWN = frozenset({*_EmbeddingsRequest.__struct_fields__, *EmbeddingsHead.__struct_fields__})


def embeddings_input(body: bytes) -> EmbeddingsInput:
    """Translate a request body.

    Raises:
        UnsupportedParameter: the input is given as tokens, which mean nothing to another provider's model; or vectors
            are wanted in a form that only a provider of this dialect may know.
    """
    request = decode(body, _EmbeddingsRequest)
    if request.encoding_format not in _OUR_FORMS:
        raise UnsupportedParameter(
            "This model's vectors come as float or base64 only; choose one.", param="encoding_format"
        )
    texts: list[str] = []
    for item in [request.input] if isinstance(request.input, str) else request.input:
        if not isinstance(item, str):
            raise UnsupportedParameter("This model embeds texts, not token numbers; send strings.", param="input")
        texts.append(item)
    return EmbeddingsInput(
        texts=tuple(texts),
        dimensions=request.dimensions,
        purpose=_PURPOSES[request.input_type] if request.input_type else "",
        extension=extension_of(body, known=_KNOWN),
    )


def with_id(body: bytes, answer_id: str) -> bytes:
    """Put `id` into a provider's own answer that has none: OpenAI gives none, and Mistral's SDK refuses that."""
    # inside a JSON string a quote is escaped, so these bytes can only be a key
    if b'"id"' in body or not body.startswith(b"{"):
        return body
    return b'{"id":' + msgspec.json.encode(answer_id) + b"," + body[1:]


def embeddings_body(
    vectors: Sequence[Sequence[float]], *, answer_id: str, model: str, usage: bytes, encoding_format: str | None
) -> bytes:
    """Render vectors; base64 means little-endian 32-bit floats, as the SDKs read them."""
    data = [
        {"object": "embedding", "index": i, "embedding": _encoded(vector) if encoding_format == "base64" else vector}
        for i, vector in enumerate(vectors)
    ]
    return msgspec.json.encode({"id": answer_id, "object": "list", "data": data, "model": model, "usage": Raw(usage)})


def _encoded(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
