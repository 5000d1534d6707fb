"""Orders in Cohere's dialect."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cohere.v2.types import V2RerankResponse

from llm_manager.core.deltas import RerankResult
from llm_manager.core.errors import InvalidRequest, UpstreamProtocolError
from llm_manager.core.messages import RerankInput
from llm_manager.core.usage import Usage, UsageReport, UsageSource
from llm_manager.gateway.ingress.cohere.rerank import rerank_body, rerank_input

REPORT = UsageReport(Usage(search_units=1), UsageSource.PROVIDER)
ASKED = RerankInput(query="q", documents=("a", "b"))


def _body(**members: Any) -> bytes:
    return json.dumps({"model": "m", "query": "q", "documents": ["a", "b"], **members}).encode()


@pytest.mark.requirement("S26")
def test_a_request_is_said_in_neutral_words() -> None:
    assert rerank_input(_body(priority=0, top_n=None)) == ASKED
    assert rerank_input(_body(top_n=1, max_tokens_per_doc=9)) == RerankInput(
        query="q", documents=("a", "b"), top_n=1, extension=b'{"max_tokens_per_doc":9}'
    )


@pytest.mark.requirement("L-28")
@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"query": ""}, "query"),
        ({"query": None}, "query"),
        ({"documents": []}, "documents"),
        ({"documents": [{"text": "a"}]}, "documents[0]"),
        ({"top_n": 0}, "top_n"),
    ],
)
def test_a_wrong_request_is_refused_by_name(members: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        rerank_input(_body(**members))
    assert caught.value.param == param


def test_an_order_is_exactly_this_and_never_longer_than_asked() -> None:
    places = [RerankResult(index=1, score=0.5), RerankResult(index=0, score=0.25)]
    answer = rerank_body(places, REPORT, answer_id="r1", asked=RerankInput(query="q", documents=("a", "b"), top_n=1))
    assert json.loads(answer) == {
        "id": "r1",
        "results": [{"index": 1, "relevance_score": 0.5}],
        "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}},
    }
    V2RerankResponse.model_validate_json(answer)
    assert len(json.loads(rerank_body(places, REPORT, answer_id="r1", asked=ASKED))["results"]) == 2


def test_a_place_of_no_document_is_an_error_of_the_provider() -> None:
    with pytest.raises(UpstreamProtocolError, match="document 2 of 2"):
        rerank_body([RerankResult(index=2, score=1)], REPORT, answer_id="r1", asked=ASKED)
