"""Embeddings in Cohere's dialect: the request into neutral words, vectors into an answer.

Source: cohere-python 7.3 `v2/client.py` embed, `types/embed_by_type_response.py`, read on 2026-11-28.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw

from llm_manager.core.errors import InvalidRequest, UnsupportedParameter, UpstreamProtocolError
from llm_manager.core.messages import EmbeddingPurpose, EmbeddingsInput
from llm_manager.core.usage import UsageReport
from llm_manager.gateway.ingress.cohere.extension import extension_of
from llm_manager.gateway.ingress.cohere.usage import meta
from llm_manager.gateway.ingress.decoding import ModelName, decode
from llm_manager.gateway.ingress.openai.chat_request import Lenient, Strict

_Purpose = Literal["search_document", "search_query", "classification", "clustering", "image"]
_VectorType = Literal["float", "base64", "int8", "uint8", "binary", "ubinary"]
_PURPOSES: Mapping[str, EmbeddingPurpose] = {
    "search_document": "search_document",
    "search_query": "search_query",
    "classification": "classification",
    "clustering": "clustering",
    # what is no text is refused for itself
    "image": "",
}
_FLOAT, _BASE64 = "float", "base64"


class EmbedHead(Lenient, frozen=True):
    """What the gateway itself reads of every request."""

    model: ModelName


class _TextContent(Lenient, frozen=True, tag="text"):
    text: str


class _ImageContent(Lenient, frozen=True, tag="image_url"):
    image_url: Raw


class _Item(Strict, frozen=True):
    content: Annotated[list[_TextContent | _ImageContent], Meta(min_length=1)]


class _EmbedRequest(Lenient, frozen=True):
    texts: list[str] | None = None
    images: list[Raw] | None = None
    inputs: list[_Item] | None = None
    input_type: _Purpose | None = None
    output_dimension: Annotated[int, Meta(ge=1, le=2**20)] | None = None
    embedding_types: list[_VectorType] | None = None


_KNOWN = frozenset(_EmbedRequest.__struct_fields__)


def embed_input(body: bytes) -> EmbeddingsInput:
    """Translate a request body.

    Raises:
        InvalidRequest: a field has the wrong type or value; `param` names it.
        UnsupportedParameter: something other than text is to be embedded, or as something other than numbers.
    """
    request = decode(body, _EmbedRequest)
    for number, kind in enumerate(request.embedding_types or ()):
        if kind not in (_FLOAT, _BASE64):
            place = f"embedding_types[{number}]"
            raise UnsupportedParameter(f"{place}: this model makes no {kind} vectors; ask for float.", param=place)
    return EmbeddingsInput(
        texts=_texts(request),
        dimensions=request.output_dimension,
        purpose=_PURPOSES[request.input_type] if request.input_type else "",
        extension=extension_of(body, known=_KNOWN),
    )


def _texts(request: _EmbedRequest) -> tuple[str, ...]:
    if request.images:
        raise UnsupportedParameter("This model embeds texts only; send no images.", param="images")
    if request.texts and request.inputs:
        raise InvalidRequest("texts and inputs are two words for the same; send only one.", param="inputs")
    texts = request.texts or [_text(item, f"inputs[{number}]") for number, item in enumerate(request.inputs or ())]
    if not texts:
        raise InvalidRequest("texts is missing or empty; send what is to be embedded.", param="texts")
    return tuple(texts)


def _text(item: _Item, path: str) -> str:
    texts: list[str] = []
    for number, part in enumerate(item.content):
        if not isinstance(part, _TextContent):
            place = f"{path}.content[{number}]"
            raise UnsupportedParameter(f"{place}: this model embeds texts only; remove it.", param=place)
        texts.append(part.text)
    return "\n".join(texts)


def embed_body(
    vectors: Sequence[Sequence[float]], report: UsageReport, *, answer_id: str, body: bytes, texts: Sequence[str]
) -> bytes:
    """Render vectors of every type that was asked for; base64 means little-endian 32-bit floats.

    Args:
        body: the request, which `embed_input` has taken.
        texts: what was embedded.

    Raises:
        UpstreamProtocolError: there are more or fewer vectors than texts.
    """
    if len(vectors) != len(texts):
        raise UpstreamProtocolError(f"The provider made {len(vectors)} vectors of {len(texts)} texts; retry.")
    kinds = decode(body, _EmbedRequest).embedding_types or [_FLOAT]
    embeddings: dict[str, object] = {
        kind: [_encoded(vector) for vector in vectors] if kind == _BASE64 else vectors for kind in kinds
    }
    return msgspec.json.encode(
        {
            "id": answer_id,
            "embeddings": embeddings,
            "texts": texts,
            "meta": meta(report),
            "response_type": "embeddings_by_type",
        }
    )


def _encoded(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
