"""Rerank as OpenAI-compatible servers have it, which is Cohere's and Jina's form: the request and the answer.

Source: cohere-python 7.3 `base_client.py` rerank, https://jina.ai/reranker and the recordings of OpenRouter, read on
2026-11-24.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Raw

from llm_manager.core.deltas import AnswerInfo
from llm_manager.core.errors import UpstreamProtocolError
from llm_manager.core.messages import RerankInput
from llm_manager.core.usage import Usage, UsageReport, UsageSource
from llm_manager.gateway.inference.rules import Outcome, Piece
from llm_manager.gateway.ingress.decoding import ModelName, decode
from llm_manager.gateway.ingress.money import usd
from llm_manager.gateway.ingress.openai.chat_request import Lenient, Positive, Strict
from llm_manager.gateway.ingress.openai.chunks import completed
from llm_manager.gateway.ingress.openai.extension import extension_of

# What Cohere's own second version knows: a body with nothing else goes through to it as it is.
_COHERE_V2 = frozenset({"model", "query", "documents", "top_n", "max_tokens_per_doc", "priority"})


class RerankHead(Lenient, frozen=True):
    """What the gateway itself reads of every request."""

    model: ModelName
    user: str | None = None


class _Document(Strict, frozen=True):
    text: str


class RerankRequest(Lenient, frozen=True):
    """Everything that the neutral vocabulary or this gateway has a word for."""

    query: Annotated[str, Meta(min_length=1)]
    documents: Annotated[list[str | _Document], Meta(min_length=1)]
    top_n: Positive | None = None
    return_documents: bool | None = None

    @property
    def texts(self) -> tuple[str, ...]:
        """The documents as texts, in the client's order."""
        return tuple(item if isinstance(item, str) else item.text for item in self.documents)


_KNOWN = frozenset(RerankRequest.__struct_fields__)


def rerank_input(body: bytes) -> RerankInput:
    """Translate a request body.

    Raises:
        InvalidRequest: a field has the wrong type or value; `param` names it.
        UnsupportedParameter: a document has fields beside its text.
    """
    request = decode(body, RerankRequest)
    return RerankInput(
        query=request.query, documents=request.texts, top_n=request.top_n, extension=extension_of(body, known=_KNOWN)
    )


class _Texts(msgspec.Struct, frozen=True):
    documents: list[str]


def is_cohere_v2(body: bytes) -> bool:
    """Whether a body is also one of Cohere's second version, which takes texts only and does not return them."""
    try:
        members = msgspec.json.decode(body, type=dict[str, Raw])
        msgspec.json.decode(body, type=_Texts)
    except msgspec.DecodeError:
        return False
    return members.keys() <= _COHERE_V2


class Reranking:
    """Collects the places of documents into one answer."""

    def __init__(self, request: RerankRequest, fallback: AnswerInfo) -> None:
        self._request = request
        self._info = fallback
        self._results: list[dict[str, object]] = []

    def add(self, piece: Piece) -> None:
        """Take the next piece.

        Raises:
            UpstreamProtocolError: a place names no document of the request.
        """
        if piece.info is not None:
            self._info = completed(piece.info, self._info)
        documents = self._request.texts
        for place in piece.rerank:
            if place.index >= len(documents):
                raise UpstreamProtocolError(
                    f"The provider ranked document {place.index} of {len(documents)}, which is not there; retry."
                )
            result: dict[str, object] = {"index": place.index, "relevance_score": place.score}
            if self._request.return_documents:
                result["document"] = {"text": documents[place.index]}
            self._results.append(result)

    def body(self, outcome: Outcome, *, usage: bytes) -> bytes:
        """Render the answer, best first, never more than the client asked for."""
        members: dict[str, object] = {
            "id": self._info.id,
            "model": outcome.response_model or self._info.model,
            "results": self._results[: self._request.top_n],
            "usage": Raw(usage),
        }
        if meta := _meta(outcome.report):
            members["meta"] = meta
        return msgspec.json.encode(members)


def with_model(body: bytes, model: str, *, usage: bytes) -> bytes:
    """Put what Cohere's own answer lacks into it; what is there stays.

    Raises:
        UpstreamProtocolError: the answer is no JSON object.
    """
    try:
        members = msgspec.json.decode(body, type=dict[str, Raw])
    except msgspec.DecodeError as error:
        raise UpstreamProtocolError("The provider's answer is not a JSON object; retry.") from error
    return msgspec.json.encode({"model": model, **members, "usage": Raw(usage)})


def rerank_usage(outcome: Outcome, *, keeps_native_keys: bool, with_cost: bool) -> bytes:
    """Render the `usage` of a rerank as JSON; `null` when nobody knows what was used.

    Args:
        keeps_native_keys: the provider's own report has this form, so its further keys go through.
        with_cost: adds `cost`, the exact USD as a JSON number, null when unpriced.
    """
    report = outcome.report
    if report.source is UsageSource.UNKNOWN:
        return b"null"
    usage = report.usage
    members = _native(report) if keeps_native_keys else {}
    members.pop("cost", None)
    if usage.input_total or "total_tokens" not in members:
        members |= {"prompt_tokens": usage.input_total, "total_tokens": usage.input_total}
    if usage.search_units:
        members["search_units"] = usage.search_units
    if report.source is UsageSource.ESTIMATED:
        members["is_estimated"] = True
    if with_cost:
        total = outcome.cost.total_usd
        members["cost"] = None if total is None else Raw(usd(total).encode())
    return msgspec.json.encode(members)


def _native(report: UsageReport) -> dict[str, object]:
    try:
        return msgspec.json.decode(report.raw, type=dict[str, object])
    except msgspec.DecodeError:
        # the report may be empty, or of another form; the buckets are the truth either way
        return {}


def _meta(report: UsageReport) -> dict[str, object]:
    """What Cohere's clients read usage from."""
    usage: Usage = report.billed or report.usage
    billed = {"search_units": usage.search_units, "input_tokens": usage.input_total}
    known = {name: count for name, count in billed.items() if count}
    return {"billed_units": known} if known else {}
