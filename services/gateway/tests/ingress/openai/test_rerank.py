"""Rerank in the form of OpenAI-compatible servers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cohere.types import RerankResponse
from cohere.v2.types import V2RerankResponse

from llm_manager.core.deltas import AnswerInfo, RerankResult
from llm_manager.core.errors import InvalidRequest, UnsupportedParameter, UpstreamProtocolError
from llm_manager.core.messages import RerankInput
from llm_manager.core.prices import Cost, CostState
from llm_manager.core.usage import Usage, UsageReport, UsageSource
from llm_manager.gateway.inference.rules import Outcome, Piece
from llm_manager.gateway.ingress.decoding import decode
from llm_manager.gateway.ingress.openai.rerank import (
    Reranking,
    RerankRequest,
    is_cohere_v2,
    rerank_input,
    rerank_usage,
    with_model,
)

FALLBACK = AnswerInfo(id="rerank-1", model="m", created=7)
SEARCHED = Outcome(
    report=UsageReport(Usage(search_units=1, requests=1), UsageSource.PROVIDER),
    cost=Cost(CostState.PRICED, 2_000_000_000),
)


def _body(**members: Any) -> bytes:
    return json.dumps({"model": "m", "query": "q", "documents": ["a", "b"], **members}).encode()


def test_a_request_is_translated() -> None:
    assert rerank_input(_body()) == RerankInput(query="q", documents=("a", "b"))
    body = _body(documents=[{"text": "a"}, "b"], top_n=1, return_documents=True, max_tokens_per_doc=9, user="ann")
    assert rerank_input(body) == RerankInput(
        query="q", documents=("a", "b"), top_n=1, extension=b'{"max_tokens_per_doc":9,"user":"ann"}'
    )


@pytest.mark.parametrize(
    ("members", "param", "error"),
    [
        ({"documents": []}, "documents", InvalidRequest),
        ({"documents": [7]}, "documents[0]", InvalidRequest),
        ({"documents": [{"text": "a", "title": "b"}]}, "documents[0].title", UnsupportedParameter),
        ({"query": ""}, "query", InvalidRequest),
        ({"top_n": 0}, "top_n", InvalidRequest),
    ],
)
def test_a_wrong_request_is_refused_by_name(members: dict[str, Any], param: str, error: type[InvalidRequest]) -> None:
    with pytest.raises(error) as caught:
        rerank_input(_body(**members))
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("body", "is_one"),
    [
        (_body(top_n=1, max_tokens_per_doc=5), True),
        (_body(documents=[{"text": "a"}]), False),
        (_body(return_documents=False), False),
        (b"[]", False),
        (b"no json", False),
    ],
)
def test_a_body_of_cohere_is_known_by_its_fields(body: bytes, is_one: bool) -> None:
    assert is_cohere_v2(body) is is_one


def test_an_answer_is_read_by_the_types_of_cohere() -> None:
    reranking = Reranking(decode(_body(return_documents=True, top_n=1), RerankRequest), FALLBACK)
    reranking.add(Piece(rerank=(RerankResult(index=1, score=0.9), RerankResult(index=0, score=0.1))))
    usage = rerank_usage(SEARCHED, keeps_native_keys=False, with_cost=True)
    body = json.loads(reranking.body(SEARCHED, usage=usage))
    assert body == {
        "id": "rerank-1",
        "model": "m",
        "results": [{"index": 1, "relevance_score": 0.9, "document": {"text": "b"}}],
        "usage": {"prompt_tokens": 0, "total_tokens": 0, "search_units": 1, "cost": 0.002},
        "meta": {"billed_units": {"search_units": 1}},
    }
    old, new = RerankResponse.model_validate(body), V2RerankResponse.model_validate(body)
    assert (old.results[0].index, new.results[0].relevance_score) == (1, 0.9)
    assert old.meta is not None
    assert old.meta.billed_units is not None
    assert old.meta.billed_units.search_units == 1


def test_documents_are_returned_only_to_who_asks() -> None:
    reranking = Reranking(decode(_body(), RerankRequest), FALLBACK)
    reranking.add(Piece(info=AnswerInfo(id="up", model="", created=0), rerank=(RerankResult(index=0, score=0.5),)))
    body = json.loads(reranking.body(Outcome(response_model="m-2"), usage=b"null"))
    assert body == {"id": "up", "model": "m-2", "results": [{"index": 0, "relevance_score": 0.5}], "usage": None}


def test_a_document_that_is_not_there_is_an_error() -> None:
    with pytest.raises(UpstreamProtocolError):
        Reranking(decode(_body(), RerankRequest), FALLBACK).add(Piece(rerank=(RerankResult(index=2, score=1.0),)))


def test_usage_keeps_what_the_provider_counts_in_its_own_words() -> None:
    report = UsageReport(
        Usage(input_uncached=17, requests=1), UsageSource.PROVIDER, b'{"total_tokens":17,"cost":3.4e-7,"new":1}'
    )
    usage = json.loads(rerank_usage(Outcome(report=report), keeps_native_keys=True, with_cost=True))
    assert usage == {"prompt_tokens": 17, "total_tokens": 17, "new": 1, "cost": None}
    estimated = UsageReport(Usage(input_uncached=3), UsageSource.ESTIMATED)
    assert json.loads(rerank_usage(Outcome(report=estimated), keeps_native_keys=True, with_cost=False)) == {
        "prompt_tokens": 3, "total_tokens": 3, "is_estimated": True,
    }  # fmt: skip
    unknown = Outcome(report=UsageReport(source=UsageSource.UNKNOWN))
    assert rerank_usage(unknown, keeps_native_keys=True, with_cost=True) == b"null"


def test_an_answer_of_cohere_gets_model_and_usage_and_loses_nothing() -> None:
    body = b'{"id":"c1","results":[{"index":0,"relevance_score":0.5}],"meta":{"billed_units":{"search_units":1}}}'
    assert json.loads(with_model(body, "m", usage=b"null")) == {**json.loads(body), "model": "m", "usage": None}
    with pytest.raises(UpstreamProtocolError):
        with_model(b"[]", "m", usage=b"null")
