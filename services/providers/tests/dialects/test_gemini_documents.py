"""Gemini's vectors, prompt sizes and model lists: every recording, and what must not pass for an answer."""

from __future__ import annotations

import json

import pytest

from llm_manager.core.deltas import TokenCount
from llm_manager.core.errors import UpstreamRefused
from llm_manager.core.facts import load_facts
from llm_manager.core.usage import Usage, UsageSource
from llm_manager.providers.dialects.gemini_generate.dialect import GeminiGenerate
from llm_manager.providers.dialects.port import AnswerReader, Pieces
from llm_manager.testing.recordings import Recording, load, oracle, why_absent

FACTS = load_facts()["gemini"]
DIALECT = GeminiGenerate(FACTS, new_id=lambda: "made-up")
on_recordings = pytest.mark.skipif(why_absent() is not None, reason=why_absent() or "")


def recorded(operation: str) -> list[Recording]:
    return [r for r in load(providers=("gemini",), operations=(operation,)) if r.status == 200]


def read(reader: AnswerReader, body: bytes, size: int = 7) -> Pieces:
    for at in range(0, len(body), size):
        assert not reader.feed(body[at : at + size])
    return reader.finish()


@on_recordings
@pytest.mark.requirement("S23")
@pytest.mark.parametrize("recording", recorded("embeddings"), ids=lambda r: r.id)
def test_recorded_vectors_come_out_in_both_forms(recording: Recording) -> None:
    expected = recording.expected
    neutral, native = DIALECT.embeddings_reader(), DIALECT.native_embeddings_reader()
    vectors = read(neutral, recording.body).embeddings
    (body,) = read(native, recording.body).native

    assert (len(vectors), len(vectors[0])) == (expected["count"], expected["dim"])
    assert [round(value, 6) for value in vectors[0][:5]] == expected["first5"]
    assert body == recording.body.strip()
    _, reading = oracle().read(recording.provider, recording.wire, 200, body)
    assert reading["first5"] == expected["first5"]
    for reader in (neutral, native):
        assert reader.error is None
        report = reader.usage()
        assert (None if report is None else report.usage.input_total) == expected["input_tokens"]
        assert report is None or report.source is UsageSource.PROVIDER


@on_recordings
@pytest.mark.requirement("S23")
@pytest.mark.parametrize("recording", recorded("count_tokens"), ids=lambda r: r.id)
def test_recorded_sizes_of_prompts_come_out_in_both_forms(recording: Recording) -> None:
    neutral, native = DIALECT.count_tokens_reader(), DIALECT.native_count_tokens_reader()

    count = read(neutral, recording.body).token_count
    assert count == TokenCount(input_tokens=json.loads(recording.body)["totalTokens"])
    assert read(native, recording.body).native == [recording.body.strip()]
    assert neutral.error is None
    assert native.error is None


@on_recordings
@pytest.mark.requirement("S23")
@pytest.mark.parametrize("recording", recorded("models"), ids=lambda r: r.id)
def test_recorded_models_come_out_in_order_under_the_names_of_requests(recording: Recording) -> None:
    reader = DIALECT.models_reader()
    models = read(reader, recording.body, 4096).models

    assert reader.error is None
    assert len(models) == recording.expected["count"]
    first = [name.removeprefix("models/") for name in recording.expected["first_ids"]]
    assert [model.id for model in models[:5]] == first
    assert all(json.loads(model.native)["name"] == f"models/{model.id}" for model in models)


def test_list_of_models_is_asked_for_in_its_largest_page() -> None:
    call = DIALECT.models()

    assert (call.method, call.path, call.body) == ("GET", "/v1beta/models?pageSize=1000", b"")


def test_cached_tokens_of_a_prompt_are_told() -> None:
    pieces = read(DIALECT.count_tokens_reader(), b'{"totalTokens":9,"cachedContentTokenCount":4}')

    assert pieces.token_count == TokenCount(input_tokens=9, cached_tokens=4)


def test_vectors_of_pictures_are_counted_apart() -> None:
    reader = DIALECT.embeddings_reader()
    details = [{"modality": "TEXT", "tokenCount": 2}, {"modality": "IMAGE", "tokenCount": 258}]
    usage = {"promptTokenCount": 260, "promptTokenDetails": details}
    read(reader, json.dumps({"embedding": {"values": [0.5]}, "usageMetadata": usage}).encode())

    report = reader.usage()
    assert report is not None
    assert report.usage == Usage(input_uncached=2, input_image=258)
    assert json.loads(report.raw) == usage


@pytest.mark.parametrize("body", [b"", b"nonsense", b"[]", b"{}", b'{"embeddings":[]}', b'{"embedding":{}}'])
def test_answer_without_what_was_asked_is_an_error(body: bytes) -> None:
    for reader in (
        DIALECT.embeddings_reader(),
        DIALECT.native_embeddings_reader(),
        DIALECT.count_tokens_reader(),
        DIALECT.native_count_tokens_reader(),
        DIALECT.models_reader(),
    ):
        assert not read(reader, body)
        assert reader.error is not None


def test_error_with_a_good_status_keeps_the_provider_s_words() -> None:
    body = b'{"error":{"code":404,"message":"no such model","status":"NOT_FOUND"}}'
    for reader in (DIALECT.embeddings_reader(), DIALECT.count_tokens_reader(), DIALECT.models_reader()):
        assert not read(reader, body)
        assert isinstance(reader.error, UpstreamRefused)
        assert str(reader.error) == "no such model"
        assert reader.error.upstream is not None
        assert (reader.error.upstream.code, reader.error.upstream.type) == ("404", "NOT_FOUND")
