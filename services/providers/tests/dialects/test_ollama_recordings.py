"""Every recorded answer of Ollama: chats in both forms, completions and vectors for its own clients."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any  # JSON documents

import ollama
import pytest

from llm_manager.core.deltas import Logprobs
from llm_manager.core.errors import UpstreamProtocolError, UpstreamRefused, UpstreamUnavailable
from llm_manager.core.estimates import size_of
from llm_manager.core.facts import load_facts
from llm_manager.core.usage import UsageSource
from llm_manager.providers.dialects.ollama_chat.answer import OllamaChatReader
from llm_manager.providers.dialects.ollama_chat.dialect import OllamaChat
from llm_manager.providers.dialects.ollama_generate.dialect import OllamaGenerate
from llm_manager.providers.dialects.port import AnswerReader, Pieces
from llm_manager.providers.dialects.upstream_errors import error_of_answer
from llm_manager.testing.answers import answer_of_deltas, answer_of_reading, differences, usage_differences
from llm_manager.testing.cuts import on_every_cut, pieces_of
from llm_manager.testing.recordings import Recording, load, oracle, why_absent
from llm_manager.testing.stream_validator import delta_violations

FACTS = load_facts()["ollama"]
CHATS = load(providers=("ollama",), operations=("chat",))
ANSWERS = [r for r in CHATS if r.status == 200]
TEXTS = load(providers=("ollama",), operations=("generate",))
on_recordings = pytest.mark.skipif(why_absent() is not None, reason=why_absent() or "")


def reader(*, is_native: bool = False, is_stream: bool = True) -> OllamaChatReader:
    numbers = itertools.count()
    dialect = OllamaChat(FACTS, new_id=lambda: f"made-up-{next(numbers)}")
    return dialect.native_chat_reader(is_stream=is_stream) if is_native else dialect.chat_reader(is_stream=is_stream)


def read(into: AnswerReader, pieces: Iterator[bytes]) -> Pieces:
    answer = Pieces()
    for piece in pieces:
        answer.extend(into.feed(piece))
    answer.extend(into.finish())
    return answer


def documents_of(recording: Recording) -> list[dict[str, Any]]:
    if recording.is_stream:
        return [json.loads(line) for line in recording.body.splitlines() if line.strip()]
    return [json.loads(recording.body)]


def assert_usage(recording: Recording, into: AnswerReader) -> None:
    report = into.usage()
    assert report is not None
    assert usage_differences(report.usage, recording.expected) == []
    assert json.loads(report.raw) == recording.expected["usage_raw"]
    # It leaves the prompt out when it has it still (quirk 16): absent is not zero.
    is_whole = recording.expected["input_tokens"] is not None
    assert report.source is (UsageSource.PROVIDER if is_whole else UsageSource.ESTIMATED)


@on_recordings
@pytest.mark.requirement("S16", "P-8", "P-9", "L-29", "B-10")
@pytest.mark.parametrize("recording", ANSWERS, ids=lambda r: r.id)
@on_every_cut
def test_recorded_chat_comes_out_as_expected(recording: Recording, cut: str) -> None:
    chat = reader(is_stream=recording.is_stream)
    answer = read(chat, pieces_of(recording, cut))

    assert chat.error is None
    assert delta_violations(answer.deltas) == []
    assert differences(answer_of_deltas(answer.deltas), recording.expected) == []
    assert_usage(recording, chat)
    assert answer.info is not None
    assert answer.info.model == chat.response_model == recording.expected["model"]
    assert answer.info.created > 1_600_000_000 or b'"1970-01-01' in recording.body
    assert (chat.finish_reason, chat.native_finish_reason) == (
        answer_of_deltas(answer.deltas).finish_reason,
        recording.expected["finish_reason"],
    )
    assert (answer.native, chat.unknown_finish_reasons) == ([], [])


@on_recordings
@pytest.mark.requirement("S16", "P-10")
@pytest.mark.parametrize("recording", ANSWERS, ids=lambda r: r.id)
@on_every_cut
def test_recorded_chat_passes_untouched_to_a_client_of_the_same_dialect(recording: Recording, cut: str) -> None:
    chat = reader(is_native=True, is_stream=recording.is_stream)
    answer = read(chat, pieces_of(recording, cut))

    assert chat.error is None
    assert [json.loads(document) for document in answer.native] == documents_of(recording)
    assert all(document in recording.body for document in answer.native)
    for document in answer.native:
        ollama.ChatResponse.model_validate_json(document)
    _, reading = oracle().read("ollama", recording.wire, 200, b"\n".join(answer.native))
    assert differences(answer_of_reading(reading), recording.expected) == []
    assert_usage(recording, chat)
    assert (answer.deltas, answer.info) == ([], None)
    assert sum(chat.written.text.values()) > 0


@on_recordings
@pytest.mark.requirement("S16", "P-10")
@pytest.mark.parametrize("recording", TEXTS, ids=lambda r: r.id)
@on_every_cut
def test_recorded_completion_passes_untouched(recording: Recording, cut: str) -> None:
    text = OllamaGenerate(FACTS, new_id=lambda: "made-up").native_chat_reader(is_stream=recording.is_stream)
    answer = read(text, pieces_of(recording, cut))

    assert text.error is None
    assert [json.loads(document) for document in answer.native] == documents_of(recording)
    for document in answer.native:
        ollama.GenerateResponse.model_validate_json(document)
    _, reading = oracle().read("ollama", recording.wire, 200, b"\n".join(answer.native))
    assert differences(answer_of_reading(reading), recording.expected) == []
    assert_usage(recording, text)
    assert text.response_model == recording.expected["model"]
    assert text.native_finish_reason == recording.expected["finish_reason"]
    assert text.written.text == {0: size_of(recording.expected["text"])}
    assert sum(text.written.reasoning.values()) == size_of(recording.expected["reasoning_text"])


@on_recordings
@pytest.mark.parametrize("recording", load(providers=("ollama",), operations=("embeddings",)), ids=lambda r: r.id)
def test_recorded_vectors_pass_untouched(recording: Recording) -> None:
    vectors = OllamaChat(FACTS, new_id=lambda: "x").native_embeddings_reader()
    answer = read(vectors, pieces_of(recording, "7"))

    assert answer.native == [recording.body.strip()]
    report = vectors.usage()
    assert report is not None
    assert report.usage.input_total == recording.expected["input_tokens"]
    assert report.source is UsageSource.PROVIDER
    assert vectors.response_model == recording.expected["model"]


@on_recordings
@pytest.mark.requirement("L-28")
def test_recorded_refusals_become_errors() -> None:
    (missing,) = [r for r in CHATS if r.status == 404]
    (broken,) = load(providers=("ollama",), part="reconstructed")

    refused = error_of_answer(FACTS, status=404, body=missing.body, headers=missing.headers)
    failed = error_of_answer(FACTS, status=500, body=broken.body, headers=broken.headers)

    assert isinstance(refused, UpstreamRefused)
    assert str(refused) == missing.expected["error"]["message"]
    assert refused.http_status == 404
    assert isinstance(failed, UpstreamUnavailable)
    assert broken.expected["error"]["message"] in str(failed)


@pytest.mark.requirement("L-26")
@pytest.mark.parametrize("is_native", [True, False], ids=["native", "neutral"])
def test_error_line_in_a_good_stream_is_an_error_and_no_finish(is_native: bool) -> None:
    chat = reader(is_native=is_native)
    lines = [b'{"model":"m","message":{"content":"Hal"},"done":false}\n', b'{"error":"an error was encountered"}\n']
    answer = read(chat, iter(lines))

    assert answer_of_deltas(answer.deltas).finish_reason is None
    assert answer.native == ([lines[0].strip()] if is_native else [])
    assert isinstance(chat.error, UpstreamUnavailable)
    assert "an error was encountered" in str(chat.error)
    assert chat.written.text == {0: 3}


@pytest.mark.parametrize("stream", [True, False])
def test_answer_that_ends_without_done_is_an_error(stream: bool) -> None:
    chat = reader(is_stream=stream)
    read(chat, iter([b'{"model":"m","message":{"content":"Hal"},"done":false}\n']))

    assert isinstance(chat.error, UpstreamProtocolError)


@pytest.mark.parametrize("stuff", [b"", b"\n", b"<html>", b"[1]", b"17\n", b'{"done":true', b"\xff\xfe"])
@pytest.mark.parametrize("stream", [True, False])
def test_stuff_that_is_no_answer_is_an_error(stuff: bytes, stream: bool) -> None:
    for is_native in (True, False):
        chat = reader(is_native=is_native, is_stream=stream)

        assert not read(chat, iter([stuff]))
        assert isinstance(chat.error, UpstreamProtocolError)


def test_missing_prompt_count_is_not_taken_for_zero() -> None:
    chat = reader()
    read(chat, iter([b'{"model":"m","message":{"content":"x"},"done":true,"done_reason":"stop","eval_count":3}']))

    report = chat.usage()
    assert report is not None
    assert report.source is UsageSource.ESTIMATED


@pytest.mark.requirement("L-30")
@pytest.mark.parametrize("reason", ["load", "unload"])
def test_model_that_was_only_loaded_said_nothing_unless_its_own_client_asked_for_that(reason: str) -> None:
    line = b'{"model":"m","message":{"content":""},"done":true,"done_reason":"%b"}' % reason.encode()
    chat, own = reader(), reader(is_native=True)

    assert not read(chat, iter([line])).deltas
    assert isinstance(chat.error, UpstreamUnavailable)
    assert read(own, iter([line])).native == [line]
    assert (own.error, own.native_finish_reason, own.usage()) == (None, reason, None)


@pytest.mark.requirement("L-30", "P-9")
def test_word_that_nobody_knows_promises_least_and_is_kept() -> None:
    chat = reader()
    answer = read(chat, iter([b'{"model":"m","message":{"content":"x"},"done":true,"done_reason":"brand_new"}']))

    assert answer_of_deltas(answer.deltas).finish_reason == "length"
    assert chat.unknown_finish_reasons == ["brand_new"]


def test_whole_answer_may_be_printed_on_many_lines_or_come_as_a_stream() -> None:
    line = {"model": "m", "message": {"content": "x"}, "done": True, "done_reason": "stop"}
    pretty = json.dumps(line, indent=2).encode()
    native, neutral, streamed = (
        reader(is_native=True, is_stream=False),
        reader(is_stream=False),
        reader(is_stream=False),
    )
    first = json.dumps({**line, "done": False, "done_reason": None}).encode()

    assert read(native, iter([pretty])).native == [pretty]
    assert answer_of_deltas(read(neutral, iter([pretty])).deltas).text == "x"
    assert answer_of_deltas(read(streamed, iter([first + b"\n", json.dumps(line).encode()])).deltas).text == "xx"


def test_stream_in_place_of_a_whole_answer_is_an_error_for_who_gets_it_as_it_came() -> None:
    own = reader(is_native=True, is_stream=False)
    lines = b'{"message":{"content":"x"}}\n{"done":true,"message":{"content":"y"}}'

    assert not read(own, iter([lines]))
    assert isinstance(own.error, UpstreamProtocolError)


def test_logprobs_come_out_in_openai_s_shape() -> None:
    other = {"token": "Hi", "logprob": -2.5, "bytes": [72, 105]}
    logprobs = [{"token": "é", "logprob": -0.1, "top_logprobs": [other]}]
    line = {"model": "m", "message": {"content": "é"}, "logprobs": logprobs, "done": False}
    chat = reader()
    answer = read(chat, iter([json.dumps(line).encode() + b"\n", b'{"done":true,"message":{}}\n']))

    (said,) = [json.loads(delta.json) for delta in answer.deltas if isinstance(delta, Logprobs)]
    assert said == {"content": [{"token": "é", "logprob": -0.1, "bytes": [195, 169], "top_logprobs": [other]}]}
