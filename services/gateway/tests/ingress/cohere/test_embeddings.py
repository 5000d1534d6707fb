"""Vectors in Cohere's dialect."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest
from cohere.types import EmbedByTypeResponse

from llm_manager.core.errors import InvalidRequest, UnsupportedParameter, UpstreamProtocolError
from llm_manager.core.messages import EmbeddingsInput
from llm_manager.core.usage import Usage, UsageReport, UsageSource
from llm_manager.gateway.ingress.cohere.embeddings import embed_body, embed_input

Json = dict[str, Any]
REPORT = UsageReport(Usage(input_uncached=3), UsageSource.PROVIDER)


def _body(**members: Any) -> bytes:
    return json.dumps({"model": "m", "texts": ["a", "b"], **members}).encode()


def _content(*parts: Json) -> list[Json]:
    return [{"content": parts}]


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, EmbeddingsInput(texts=("a", "b"))),
        (
            {"input_type": "search_query", "output_dimension": 64, "embedding_types": ["float"], "truncate": "NONE"},
            EmbeddingsInput(texts=("a", "b"), purpose="search_query", dimensions=64),
        ),
        (
            {"truncate": "END", "max_tokens": 9, "priority": 0, "images": None},
            EmbeddingsInput(texts=("a", "b"), extension=b'{"truncate":"END","max_tokens":9}'),
        ),
        (
            {"texts": None, "inputs": _content({"type": "text", "text": "a"}, {"type": "text", "text": "b"})},
            EmbeddingsInput(texts=("a\nb",)),
        ),
    ],
)
@pytest.mark.requirement("S26", "S34")
def test_a_request_is_said_in_neutral_words(members: Json, expected: EmbeddingsInput) -> None:
    assert embed_input(_body(**members)) == expected


IMAGE: Json = {"type": "image_url", "image_url": {"url": "data:,"}}
WRONG: list[tuple[Json, str, type[InvalidRequest]]] = [
    ({"texts": []}, "texts", InvalidRequest),
    ({"texts": "a"}, "texts", InvalidRequest),
    ({"texts": [7]}, "texts[0]", InvalidRequest),
    ({"texts": None, "images": ["data:,"]}, "images", UnsupportedParameter),
    ({"texts": None, "inputs": _content(IMAGE)}, "inputs[0].content[0]", UnsupportedParameter),
    ({"texts": None, "inputs": _content()}, "inputs[0].content", InvalidRequest),
    ({"inputs": _content({"type": "text", "text": "a"})}, "inputs", InvalidRequest),
    ({"embedding_types": ["float", "int8"]}, "embedding_types[1]", UnsupportedParameter),
    ({"embedding_types": ["words"]}, "embedding_types[0]", InvalidRequest),
    ({"input_type": "poem"}, "input_type", InvalidRequest),
    ({"output_dimension": 0}, "output_dimension", InvalidRequest),
]


@pytest.mark.requirement("L-28", "S34")
@pytest.mark.parametrize(("members", "param", "error"), WRONG, ids=[param for _, param, _ in WRONG])
def test_a_wrong_request_is_refused_by_name(members: Json, param: str, error: type[InvalidRequest]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        embed_input(_body(**members))
    assert (type(caught.value), caught.value.param) == (error, param)


@pytest.mark.requirement("S34")
def test_vectors_come_in_the_types_that_were_asked_for() -> None:
    body = _body(embedding_types=["float", "base64"])
    vectors = [[1.0, 2.0], [0.5, 0.25]]
    answer = embed_body(vectors, REPORT, answer_id="e1", body=body, texts=("a", "b"))
    packed = [base64.b64encode(struct.pack("<2f", *vector)).decode() for vector in vectors]
    assert json.loads(answer) == {
        "id": "e1",
        "embeddings": {"float": vectors, "base64": packed},
        "texts": ["a", "b"],
        "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 3}},
        "response_type": "embeddings_by_type",
    }
    EmbedByTypeResponse.model_validate_json(answer)


def test_without_a_type_they_are_numbers_and_without_usage_nothing_is_counted() -> None:
    unknown = UsageReport(Usage(), UsageSource.UNKNOWN)
    answer = json.loads(embed_body([[1.0]], unknown, answer_id="e1", body=_body(), texts=("a",)))
    assert answer["embeddings"] == {"float": [[1.0]]}
    assert answer["meta"] == {"api_version": {"version": "2"}}
    estimate = UsageReport(Usage(input_uncached=3), UsageSource.ESTIMATED)
    answer = json.loads(embed_body([[1.0]], estimate, answer_id="e1", body=_body(), texts=("a",)))
    assert answer["meta"]["is_estimated"] is True


@pytest.mark.requirement("S34")
def test_a_vector_too_few_is_an_error() -> None:
    with pytest.raises(UpstreamProtocolError, match="1 vectors of 2 texts"):
        embed_body([[1.0]], REPORT, answer_id="e1", body=_body(), texts=("a", "b"))
