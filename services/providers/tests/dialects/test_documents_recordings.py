"""Every recorded list of vectors and of models, through the reader of its dialect."""

from __future__ import annotations

import base64
import json
import struct

import pytest
from dialects import FullDialect, main_dialect

from llm_manager.core.facts import Facts, load_facts
from llm_manager.providers.dialects.ollama_chat.dialect import OllamaChat
from llm_manager.providers.dialects.openai_chat.dialect import OpenAiChat
from llm_manager.providers.dialects.port import AnswerReader, Pieces
from llm_manager.testing.recordings import Recording, load, oracle, why_absent

pytestmark = pytest.mark.skipif(why_absent() is not None, reason=why_absent() or "")

PROVIDERS = ("openai", "groq", "mistral", "together", "openai_compatible", "ollama")
VECTORS = [r for r in load(providers=PROVIDERS, operations=("embeddings",)) if r.status == 200]
MODELS = [r for r in load(providers=PROVIDERS, operations=("models",)) if r.status == 200]


def facts_of(recording: Recording) -> Facts:
    return load_facts()["custom" if recording.provider == "openai_compatible" else recording.provider]


def dialect(recording: Recording) -> FullDialect:
    return main_dialect(facts_of(recording).kind, make_id=lambda: "made-up")


def read(reader: AnswerReader, body: bytes) -> Pieces:
    for at in range(0, len(body), 4096):
        assert not reader.feed(body[at : at + 4096])
    return reader.finish()


@pytest.mark.parametrize("recording", VECTORS, ids=lambda r: r.id)
def test_recorded_vectors_come_out_in_neutral_form(recording: Recording) -> None:
    reader = dialect(recording).embeddings_reader()
    vectors = read(reader, recording.body).embeddings

    expected = recording.expected
    assert reader.error is None
    assert (len(vectors), len(vectors[0])) == (expected["count"], expected["dim"])
    assert [round(value, 6) for value in vectors[0][:5]] == expected["first5"]
    assert reader.response_model == expected["model"]
    report = reader.usage()
    assert report is not None
    assert (report.usage.input_total, report.usage.output_total) == (expected["input_tokens"], 0)


@pytest.mark.parametrize("recording", [r for r in VECTORS if r.provider != "ollama"], ids=lambda r: r.id)
def test_recorded_vectors_pass_untouched_in_native_form(recording: Recording) -> None:
    reader = OpenAiChat(facts_of(recording), new_id=lambda: "made-up").native_embeddings_reader()
    (body,) = read(reader, recording.body).native

    sent, came = json.loads(body), json.loads(recording.body)
    usage = came.pop("usage")
    assert sent == came
    report = reader.usage()
    assert report is not None
    assert json.loads(report.raw) == usage
    _, reading = oracle().read(recording.provider, recording.wire, 200, body)
    assert reading["first5"] == recording.expected["first5"]


@pytest.mark.parametrize("recording", MODELS, ids=lambda r: r.id)
def test_recorded_models_come_out_in_order(recording: Recording) -> None:
    reader = dialect(recording).models_reader()
    models = read(reader, recording.body).models

    assert reader.error is None
    assert len(models) == recording.expected["count"]
    assert [model.id for model in models[:5]] == recording.expected["first_ids"]
    assert all(json.loads(model.native) for model in models)


@pytest.mark.parametrize(
    ("modified_at", "created"),
    [('"2025-05-17T15:10:26.937464025Z"', 1_747_494_626), ('"soon"', 0), ("null", 0), ("7", 0)],
)
def test_ollama_s_time_of_change_is_the_time_of_a_model(modified_at: str, created: int) -> None:
    reader = OllamaChat(load_facts()["ollama"], new_id=lambda: "made-up").models_reader()
    (model,) = read(reader, b'{"models":[{"model":"q","modified_at":%b}]}' % modified_at.encode()).models
    assert model.created == created


def test_bare_list_of_models_is_read() -> None:
    reader = OpenAiChat(load_facts()["together"], new_id=lambda: "made-up").models_reader()
    models = read(reader, b'[{"id":"a","created":3,"organization":"Meta"},{"id":"b","created":null}]').models

    assert [(model.id, model.created, model.owned_by) for model in models] == [("a", 3, "Meta"), ("b", 0, "")]


def test_vectors_in_base64_are_floats_of_32_bits() -> None:
    text = base64.b64encode(struct.pack("<3f", 0.5, -1.25, 2.0)).decode()
    reader = OpenAiChat(load_facts()["openai"], new_id=lambda: "made-up").embeddings_reader()
    answer = read(reader, json.dumps({"data": [{"embedding": text, "index": 0}], "model": "m"}).encode())

    assert [list(vector) for vector in answer.embeddings] == [[0.5, -1.25, 2.0]]
    assert reader.usage() is None


def test_vectors_are_put_in_order_of_their_index() -> None:
    data = [{"embedding": [2.0], "index": 1}, {"embedding": [1.0], "index": 0}]
    reader = OpenAiChat(load_facts()["openai"], new_id=lambda: "made-up").embeddings_reader()

    assert read(reader, json.dumps({"data": data}).encode()).embeddings == [[1.0], [2.0]]


@pytest.mark.parametrize("body", [b"", b"nonsense", b"[]", b"{}", b'{"data":[]}', b'{"data":[{"embedding":null}]}'])
def test_answer_without_vectors_is_an_error(body: bytes) -> None:
    for kind in ("openai", "ollama"):
        reader = main_dialect(kind).embeddings_reader()
        assert not read(reader, body)
        assert reader.error is not None
