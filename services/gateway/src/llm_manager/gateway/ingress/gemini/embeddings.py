"""Embeddings in Gemini's dialect: the requests into neutral words, vectors into answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta, Raw

from llm_manager.core.errors import InvalidRequest, UnsupportedParameter, UpstreamProtocolError
from llm_manager.core.messages import EmbeddingPurpose, EmbeddingsInput
from llm_manager.core.usage import UsageReport, UsageSource
from llm_manager.gateway.ingress.decoding import decode
from llm_manager.gateway.ingress.gemini import parts as wire
from llm_manager.gateway.ingress.gemini.reading import Lenient, is_nothing, items, members, read, under
from llm_manager.gateway.ingress.gemini.request import Content
from llm_manager.gateway.ingress.gemini.usage import embedding_usage

_PURPOSES: Mapping[str, EmbeddingPurpose] = {
    "": "",
    "TASK_TYPE_UNSPECIFIED": "",
    "RETRIEVAL_QUERY": "search_query",
    "RETRIEVAL_DOCUMENT": "search_document",
    "SEMANTIC_SIMILARITY": "similarity",
    "CLASSIFICATION": "classification",
    "CLUSTERING": "clustering",
}


class EmbedHead(msgspec.Struct, frozen=True):
    """What the gateway itself reads of a request for one vector."""

    content: dict[str, Raw]
    requests: Raw = Raw()


class BatchHead(msgspec.Struct, frozen=True):
    """What the gateway itself reads of a request for several vectors."""

    requests: Annotated[list[Raw], Meta(min_length=1)]


class _Request(Lenient, frozen=True):
    content: Raw
    model: str = ""
    task_type: str = ""
    output_dimensionality: Annotated[int, Meta(ge=1, le=2**20)] | None = None


_KNOWN = frozenset(_Request.__struct_encode_fields__)


def embed_input(body: bytes) -> EmbeddingsInput:
    """Translate a request for one vector.

    Raises:
        InvalidRequest: a field is wrong; `param` names it.
        UnsupportedParameter: something other than text is to be embedded.
    """
    return _input(Raw(body), "")


def batch_input(body: bytes) -> EmbeddingsInput:
    """Translate a request for several vectors; the errors are those of `embed_input`.

    Raises:
        UnsupportedParameter: the vectors are to be made in different ways, which other providers do in one call each.
    """
    requests = decode(body, BatchHead).requests
    asked = [_input(raw, f"requests[{number}]") for number, raw in enumerate(requests)]
    first = asked[0]
    for number, other in enumerate(asked):
        if msgspec.structs.replace(other, texts=first.texts) != first:
            raise UnsupportedParameter(
                f"requests[{number}] asks for another kind of vector than requests[0], and this model makes one kind "
                "in a call; send them apart.",
                param=f"requests[{number}]",
            )
    return msgspec.structs.replace(first, texts=tuple(text for one in asked for text in one.texts))


def _input(raw: Raw, path: str) -> EmbeddingsInput:
    request = read(raw, _Request, path=path)
    rest = {name: value for name, value in members(raw, known=_KNOWN, path=path).items() if name not in _KNOWN}
    purpose = _PURPOSES.get(request.task_type)
    if purpose is None:
        # finer than neutral words are; who knows the word takes it
        rest["taskType"] = Raw(msgspec.json.encode(request.task_type))
    return EmbeddingsInput(
        texts=(_text(request.content, under(path, "content")),),
        dimensions=request.output_dimensionality,
        purpose=purpose or "",
        extension=msgspec.json.encode(rest) if rest else b"",
    )


def _text(raw: Raw, path: str) -> str:
    content = read(raw, Content, path=path)
    where = f"{path}.parts"
    texts: list[str] = []
    for number, item in enumerate([] if is_nothing(content.parts) else items(content.parts, path=where)):
        text = read(item, wire.UserPart, path=f"{where}[{number}]").text
        if text is None:
            place = f"{where}[{number}]"
            raise UnsupportedParameter(f"{place}: this model embeds texts only; remove it.", param=place)
        texts.append(text)
    if not texts:
        raise InvalidRequest(f"{where} is empty; send a text.", param=where)
    return "\n".join(texts)


def embed_body(vectors: Sequence[Sequence[float]], report: UsageReport, *, is_batch: bool, expected: int) -> bytes:
    """Render vectors.

    Args:
        expected: how many there must be.

    Raises:
        UpstreamProtocolError: there are more or fewer.
    """
    if len(vectors) != expected:
        raise UpstreamProtocolError(f"The provider made {len(vectors)} vectors of {expected} texts; retry.")
    rendered = [{"values": vector} for vector in vectors]
    answer: dict[str, object] = {"embeddings": rendered} if is_batch else {"embedding": rendered[0]}
    if report.source in (UsageSource.PROVIDER, UsageSource.ESTIMATED):
        answer["usageMetadata"] = embedding_usage(report)
    return msgspec.json.encode(answer)
