"""Vectors and models in Gemini's dialect."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.genai.types import ContentEmbedding

from llm_manager.core.deltas import Model
from llm_manager.core.errors import InvalidRequest, UnsupportedParameter, UpstreamProtocolError
from llm_manager.core.messages import EmbeddingsInput
from llm_manager.core.usage import Usage, UsageReport, UsageSource
from llm_manager.gateway.ingress.gemini.embeddings import batch_input, embed_body, embed_input
from llm_manager.gateway.ingress.gemini.models import model_body, models_body

Json = dict[str, Any]
REPORT = UsageReport(Usage(input_uncached=3), UsageSource.PROVIDER)


def _request(text: str, **members: Any) -> Json:
    return {"content": {"parts": [{"text": text}]}, **members}


def _batch(*requests: Json) -> EmbeddingsInput:
    return batch_input(json.dumps({"requests": requests}).encode())


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, EmbeddingsInput(texts=("a",))),
        ({"model": "models/x", "taskType": "TASK_TYPE_UNSPECIFIED"}, EmbeddingsInput(texts=("a",))),
        (
            {"task_type": "RETRIEVAL_QUERY", "output_dimensionality": 64},
            EmbeddingsInput(texts=("a",), purpose="search_query", dimensions=64),
        ),
        (
            {"taskType": "QUESTION_ANSWERING", "title": "T"},
            EmbeddingsInput(texts=("a",), extension=b'{"title":"T","taskType":"QUESTION_ANSWERING"}'),
        ),
    ],
)
@pytest.mark.requirement("S34")
def test_a_request_for_a_vector_is_said_in_neutral_words(members: Json, expected: EmbeddingsInput) -> None:
    assert embed_input(json.dumps(_request("a", **members)).encode()) == expected


@pytest.mark.requirement("S34")
def test_a_batch_is_one_call_as_long_as_all_vectors_are_of_one_kind() -> None:
    assert _batch(_request("a", outputDimensionality=8), _request("b", output_dimensionality="8")) == EmbeddingsInput(
        texts=("a", "b"), dimensions=8
    )
    with pytest.raises(UnsupportedParameter) as caught:
        _batch(_request("a"), _request("b", taskType="CLUSTERING"))
    assert caught.value.param == "requests[1]"


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        ({}, "requests[0].content"),
        (_request("a", outputDimensionality=0), "requests[0].outputDimensionality"),
        ({"content": {"parts": []}}, "requests[0].content.parts"),
        ({"content": {"parts": [{"inlineData": {"data": "", "mimeType": "a/b"}}]}}, "requests[0].content.parts[0]"),
    ],
)
def test_what_cannot_be_embedded_is_refused_by_its_place(request_: Json, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        _batch(request_)
    assert caught.value.param == param


def test_vectors_are_rendered_with_their_usage() -> None:
    body = json.loads(embed_body([[1.0]], REPORT, is_batch=False, expected=1))
    assert body == {"embedding": {"values": [1.0]}, "usageMetadata": {"promptTokenCount": 3}}
    body = json.loads(embed_body([[1.0], [2.0]], UsageReport(), is_batch=True, expected=2))
    assert body == {"embeddings": [{"values": [1.0]}, {"values": [2.0]}]}
    assert [ContentEmbedding.model_validate(item).values for item in body["embeddings"]] == [[1.0], [2.0]]
    with pytest.raises(UpstreamProtocolError):
        embed_body([[1.0]], REPORT, is_batch=True, expected=2)


@pytest.mark.requirement("S12")
def test_a_model_is_described_by_what_is_known() -> None:
    assert json.loads(model_body(Model(id="openai/gpt-x", owned_by="openai"))) == {
        "name": "models/openai/gpt-x",
        "version": "openai/gpt-x",
        "displayName": "openai/gpt-x",
        "description": "Served by openai.",
        "supportedGenerationMethods": ["generateContent", "countTokens"],
    }


def test_gemini_s_own_description_is_kept_under_our_name() -> None:
    native = b'{"name":"models/gemini-3","displayName":"Gemini 3","inputTokenLimit":5,"supportedGenerationMethods":[]}'
    described = json.loads(model_body(Model(id="google/gemini-3", native=native)))
    assert (described["name"], described["displayName"], described["inputTokenLimit"]) == (
        "models/google/gemini-3",
        "Gemini 3",
        5,
    )
    for other in (b'{"id":"x"}', b"[]", b"no json"):
        assert json.loads(model_body(Model(id="text-embedding-3", native=other)))["supportedGenerationMethods"] == [
            "embedContent",
            "batchEmbedContents",
        ]


def test_models_come_in_pages_where_pages_are_asked_for() -> None:
    models = [Model(id=name) for name in "abc"]

    def page(size: str | None, token: str | None) -> tuple[str, str | None]:
        body = json.loads(models_body(models, page_size=size, page_token=token))
        return "".join(model["displayName"] for model in body["models"]), body.get("nextPageToken")

    assert [page(None, None), page("2", None), page("2", "2"), page("0", ""), page("9999", None)] == [
        ("abc", None),
        ("ab", "2"),
        ("c", None),
        ("abc", None),
        ("abc", None),
    ]
    for size, token in (("-1", None), (None, "x"), (None, "4")):
        with pytest.raises(InvalidRequest):
            page(size, token)
