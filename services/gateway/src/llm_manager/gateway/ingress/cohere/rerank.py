"""Rerank in Cohere's dialect: the request into neutral words, places into an answer.

Source: cohere-python 7.3 `v2/client.py` rerank, `v2/types/v2rerank_response.py`, read on 2026-11-28.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from llm_manager.core.deltas import RerankResult
from llm_manager.core.errors import UpstreamProtocolError
from llm_manager.core.messages import RerankInput
from llm_manager.core.usage import UsageReport
from llm_manager.gateway.ingress.cohere.extension import extension_of
from llm_manager.gateway.ingress.cohere.usage import meta
from llm_manager.gateway.ingress.decoding import ModelName, decode
from llm_manager.gateway.ingress.openai.chat_request import Lenient, Positive


class RerankHead(Lenient, frozen=True):
    """What the gateway itself reads of every request."""

    model: ModelName


class _RerankRequest(Lenient, frozen=True):
    query: Annotated[str, Meta(min_length=1)]
    documents: Annotated[list[str], Meta(min_length=1)]
    top_n: Positive | None = None


_KNOWN = frozenset(_RerankRequest.__struct_fields__)


def rerank_input(body: bytes) -> RerankInput:
    """Translate a request body.

    Raises:
        InvalidRequest: a field has the wrong type or value; `param` names it.
    """
    request = decode(body, _RerankRequest)
    return RerankInput(
        query=request.query,
        documents=tuple(request.documents),
        top_n=request.top_n,
        extension=extension_of(body, known=_KNOWN),
    )


def rerank_body(places: Sequence[RerankResult], report: UsageReport, *, answer_id: str, asked: RerankInput) -> bytes:
    """Render an order, best first, never more than the client asked for.

    Raises:
        UpstreamProtocolError: a place names no document of the request.
    """
    for place in places:
        if place.index >= len(asked.documents):
            raise UpstreamProtocolError(
                f"The provider ranked document {place.index} of {len(asked.documents)}, which is not there; retry."
            )
    results = [{"index": place.index, "relevance_score": place.score} for place in places[: asked.top_n]]
    return msgspec.json.encode({"id": answer_id, "results": results, "meta": meta(report)})
