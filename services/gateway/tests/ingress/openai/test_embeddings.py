"""Embeddings in OpenAI's dialect."""

from __future__ import annotations

import base64
import json
import struct

import pytest

from llm_manager.core.errors import InvalidRequest, UnsupportedParameter
from llm_manager.core.messages import EmbeddingsInput
from llm_manager.gateway.ingress.decoding import decode
from llm_manager.gateway.ingress.openai.embeddings import EmbeddingsHead, embeddings_body, embeddings_input, with_id


def test_one_text_and_many_are_translated() -> None:
    assert embeddings_input(b'{"model":"m","input":"a","encoding_format":"float"}') == EmbeddingsInput(texts=("a",))
    assert embeddings_input(b'{"model":"m","input":["a","b"],"dimensions":8,"truncate":"END"}') == EmbeddingsInput(
        texts=("a", "b"), dimensions=8, extension=b'{"truncate":"END"}'
    )


@pytest.mark.parametrize(
    ("said", "meant"),
    [("query", "search_query"), ("passage", "search_document"), ("clustering", "clustering"), (None, "")],
)
def test_what_the_vectors_are_for_is_said_in_several_words(said: str | None, meant: str) -> None:
    body = json.dumps({"model": "m", "input": "a", "input_type": said}).encode()
    assert embeddings_input(body) == EmbeddingsInput(texts=("a",), purpose=meant)  # pyright: ignore[reportArgumentType] # one of the words


def test_a_purpose_that_nobody_knows_is_refused() -> None:
    with pytest.raises(InvalidRequest) as caught:
        embeddings_input(b'{"model":"m","input":"a","input_type":"poetry"}')
    assert caught.value.param == "input_type"


@pytest.mark.parametrize("tokens", [b"[1,2]", b"[[1,2],[3]]"])
def test_tokens_of_another_model_are_refused(tokens: bytes) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        embeddings_input(b'{"model":"m","input":' + tokens + b"}")
    assert caught.value.param == "input"


def test_a_form_of_vectors_that_is_not_written_here_is_refused_for_another_dialect_only() -> None:
    body = b'{"model":"m","input":"a","encoding_format":"ubinary"}'
    with pytest.raises(UnsupportedParameter) as caught:
        embeddings_input(body)

    assert caught.value.param == "encoding_format"
    # a provider of this dialect judges it itself, so the gateway's own look lets it pass
    assert decode(body, EmbeddingsHead).encoding_format == "ubinary"


@pytest.mark.parametrize("text", [b'""', b"[]", b"7", b"null", b"{}"])
def test_nothing_to_embed_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        embeddings_input(b'{"model":"m","input":' + text + b"}")
    assert caught.value.param == "input"


def test_vectors_are_rendered_as_numbers_and_as_base64() -> None:
    vectors = [(0.5, -1.0), (0.25, 2.0)]
    plain = json.loads(embeddings_body(vectors, answer_id="e", model="m", usage=b"null", encoding_format=None))
    packed = json.loads(embeddings_body(vectors, answer_id="e", model="m", usage=b"null", encoding_format="base64"))
    assert plain == {
        "id": "e",
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [0.5, -1.0]},
            {"object": "embedding", "index": 1, "embedding": [0.25, 2.0]},
        ],
        "model": "m",
        "usage": None,
    }
    assert [struct.unpack("<2f", base64.b64decode(item["embedding"])) for item in packed["data"]] == vectors


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b'{"object":"list"}', b'{"id":"e","object":"list"}'),
        (b'{"id":"x","object":"list"}', b'{"id":"x","object":"list"}'),
        (b"[]", b"[]"),
    ],
)
def test_an_answer_gets_an_id_where_it_has_none(body: bytes, named: bytes) -> None:
    assert with_id(body, "e") == named
