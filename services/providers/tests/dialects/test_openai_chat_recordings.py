"""Every recorded chat of every OpenAI-like provider, in both forms, whole, per event and in 7-byte pieces."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_manager.core.errors import (
    LlmManagerError,
    ProviderRateLimited,
    UpstreamCredentialsExhausted,
    UpstreamRefused,
    UpstreamUnavailable,
)
from llm_manager.core.facts import Facts, load_facts
from llm_manager.core.usage import UsageSource
from llm_manager.providers.dialects.openai_chat.dialect import OpenAiChat
from llm_manager.providers.dialects.port import AnswerReader, Pieces
from llm_manager.providers.dialects.upstream_errors import error_of_answer
from llm_manager.testing.answers import answer_of_deltas, answer_of_reading, differences, usage_differences
from llm_manager.testing.cuts import on_every_cut, pieces_of
from llm_manager.testing.recordings import Recording, load, oracle, why_absent
from llm_manager.testing.stream_validator import StreamValidator, delta_violations

pytestmark = pytest.mark.skipif(why_absent() is not None, reason=why_absent() or "")

PROVIDERS = ("openai", "groq", "mistral", "together", "openai_compatible")
_HOSTS = {
    "openrouter.ai": "openrouter",
    "api.deepseek.com": "deepseek",
    "api.x.ai": "xai",
    "api.perplexity.ai": "perplexity",
    "api.cerebras.ai": "cerebras",
    "llamacpp.local:8080": "llamacpp",
    "fake-azure-endpoint.openai.azure.com": "azure",
}
CHATS = load(providers=PROVIDERS, operations=("chat",))
ANSWERS = [r for r in CHATS if r.status == 200]
STREAMS = [r for r in ANSWERS if r.is_stream]
BODIES = [r for r in ANSWERS if not r.is_stream]
REFUSALS = [r for r in CHATS if r.status != 200] + [
    r
    for r in load(providers=PROVIDERS, operations=("embeddings", "models", "rerank", "completions"))
    + load(providers=PROVIDERS, part="reconstructed")
    if r.status != 200
]


def kinds_of(recording: Recording) -> list[str]:
    """The kinds under which a recording must work: its own, and `custom` for everything that is only compatible."""
    if recording.provider != "openai_compatible":
        return [recording.provider]
    host = recording.url.split("/")[2]
    return ["custom", _HOSTS[host]] if host in _HOSTS else ["custom"]


def reader_of(recording: Recording, facts: Facts, *, is_native: bool) -> AnswerReader:
    numbers = itertools.count()
    dialect = OpenAiChat(facts, new_id=lambda: f"made-up-{next(numbers)}")
    if is_native:
        return dialect.native_chat_reader(is_stream=recording.is_stream)
    return dialect.chat_reader(is_stream=recording.is_stream)


def read(reader: AnswerReader, pieces: Iterator[bytes]) -> Pieces:
    answer = Pieces()
    for piece in pieces:
        answer.extend(reader.feed(piece))
    answer.extend(reader.finish())
    return answer


def assert_error_and_usage(recording: Recording, reader: AnswerReader) -> None:
    expected = recording.expected
    assert (reader.error is not None) == bool(expected["error"])
    if reader.error is not None:
        assert expected["error"]["message"] in str(reader.error)
        assert reader.error.upstream is not None
        assert reader.error.upstream.http_status == 200
    report = reader.usage()
    assert usage_differences(None if report is None else report.usage, expected) == []
    if expected["usage_raw"] is not None:
        assert report is not None
        assert report.source is UsageSource.PROVIDER
        assert json.loads(report.raw) == expected["usage_raw"]
        assert report.raw in recording.body
    elif expected["error"] is None:
        assert report is None


@pytest.mark.requirement("L-29", "B-10", "P-2", "P-3", "P-4", "P-10")
@pytest.mark.parametrize("recording", STREAMS, ids=lambda r: r.id)
@on_every_cut
def test_recorded_stream_comes_out_well_formed_and_as_expected_in_native_form(recording: Recording, cut: str) -> None:
    for kind in kinds_of(recording):
        reader = reader_of(recording, load_facts()[kind], is_native=True)
        chunks = read(reader, pieces_of(recording, cut)).native

        validator = StreamValidator()
        for chunk in chunks:
            validator.take(chunk)
        assert validator.close(is_error=reader.error is not None) == []
        stream = b"".join(b"data: %b\n\n" % chunk for chunk in chunks)
        _, reading = oracle().read(recording.provider, recording.wire, 200, stream + b"data: [DONE]\n\n")
        assert differences(answer_of_reading(reading), recording.expected) == []
        assert_error_and_usage(recording, reader)


@pytest.mark.requirement("L-29", "B-10", "P-4", "P-10")
@pytest.mark.parametrize("recording", STREAMS, ids=lambda r: r.id)
@on_every_cut
def test_recorded_stream_comes_out_well_formed_and_as_expected_in_neutral_form(recording: Recording, cut: str) -> None:
    for kind in kinds_of(recording):
        reader = reader_of(recording, load_facts()[kind], is_native=False)
        answer = read(reader, pieces_of(recording, cut))

        assert delta_violations(answer.deltas, is_error=reader.error is not None) == []
        assert differences(answer_of_deltas(answer.deltas), recording.expected) == []
        assert_error_and_usage(recording, reader)
        if recording.expected["id"] and answer.deltas:
            assert answer.info is not None
            assert (answer.info.id, answer.info.model) == (recording.expected["id"], recording.expected["model"])


@pytest.mark.parametrize("recording", BODIES, ids=lambda r: r.id)
@on_every_cut
def test_recorded_body_comes_out_as_expected_in_both_forms(recording: Recording, cut: str) -> None:
    for kind in kinds_of(recording):
        facts = load_facts()[kind]
        native = reader_of(recording, facts, is_native=True)
        bodies = read(native, pieces_of(recording, cut)).native
        assert len(bodies) == 1
        assert "usage" not in json.loads(bodies[0])
        _, reading = oracle().read(recording.provider, recording.wire, 200, bodies[0])
        assert differences(answer_of_reading(reading), recording.expected) == []
        assert_error_and_usage(recording, native)

        neutral = reader_of(recording, facts, is_native=False)
        answer = read(neutral, pieces_of(recording, cut))
        assert delta_violations(answer.deltas) == []
        assert differences(answer_of_deltas(answer.deltas), recording.expected) == []
        assert_error_and_usage(recording, neutral)


@pytest.mark.requirement("L-28")
@pytest.mark.parametrize("recording", REFUSALS, ids=lambda r: r.id)
def test_recorded_refusal_becomes_the_error_that_clients_should_get(recording: Recording) -> None:
    for kind in kinds_of(recording):
        error = error_of_answer(
            load_facts()[kind], status=recording.status, body=recording.body, headers=recording.headers
        )

        assert isinstance(error, class_for(recording.status))
        assert error.upstream is not None
        assert error.upstream.http_status == recording.status
        said = recording.expected["error"]
        if isinstance(error, UpstreamCredentialsExhausted):
            assert error.http_status == 502
            assert "key provided" not in str(error)
        elif said["message"]:
            assert said["message"] in str(error)
        for name in ("code", "type"):
            if said[name] is not None and not (name == "type" and said[name] == "error"):
                assert getattr(error.upstream, name) == str(said[name])


def class_for(status: int) -> type[LlmManagerError]:
    # both recorded 403 are of the request: a model that is not allowed, and moderation
    if status in (401, 402):
        return UpstreamCredentialsExhausted
    if status == 429:
        return ProviderRateLimited
    return UpstreamRefused if status < 500 else UpstreamUnavailable


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_split_of_any_recorded_stream_gives_the_same_answer(data: st.DataObject) -> None:
    recording = data.draw(st.sampled_from([r for r in STREAMS if len(r.body) < 20_000]))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(recording.body)), max_size=12)))
    facts = load_facts()[kinds_of(recording)[0]]
    edges = [0, *cuts, len(recording.body)]
    split = (recording.body[a:b] for a, b in itertools.pairwise(edges))

    whole = read(reader_of(recording, facts, is_native=True), iter([recording.body]))
    pieces = read(reader_of(recording, facts, is_native=True), split)

    assert pieces.native == whole.native


@pytest.mark.requirement("L-1")
def test_usage_and_answer_of_a_body_are_the_same_when_it_comes_as_the_one_chunk_of_a_stream() -> None:
    compared = 0
    for recording in BODIES:
        facts = load_facts()[kinds_of(recording)[0]]
        plain = reader_of(recording, facts, is_native=False)
        said = read(plain, iter([recording.body]))
        streamed = OpenAiChat(facts, new_id=lambda: "made-up").chat_reader(is_stream=True)
        as_stream = read(streamed, iter([recording.body]))
        mine, theirs = plain.usage(), streamed.usage()
        assert (mine is None) == (theirs is None)
        if mine is not None and theirs is not None:
            assert (mine.usage, mine.reported_cost_usd) == (theirs.usage, theirs.reported_cost_usd)
            compared += 1
        assert answer_of_deltas(as_stream.deltas) == answer_of_deltas(said.deltas)
    assert compared > 150
