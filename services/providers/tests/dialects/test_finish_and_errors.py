"""Finish reasons are total, failures are never finishes, and quirks of streams that no recording holds."""

from __future__ import annotations

import itertools
import json

import pytest

from llm_manager.core.errors import LlmManagerError, UpstreamRefused, UpstreamUnavailable
from llm_manager.core.facts import FinishMeaning, load_facts
from llm_manager.core.usage import Usage
from llm_manager.providers.dialects.openai_chat.dialect import OpenAiChat
from llm_manager.providers.dialects.openai_chat.reader import ChatReader
from llm_manager.providers.dialects.port import Pieces
from llm_manager.providers.dialects.upstream_errors import error_of_answer
from llm_manager.testing.answers import answer_of_deltas
from llm_manager.testing.stream_validator import FINISH_REASONS, StreamValidator, delta_violations
from llm_manager.testing.upstream import chunk, sse

OPENAI_LIKE = [kind for kind, facts in load_facts().items() if facts.dialect == "openai_chat"]
WORDS = [(kind, word, meaning) for kind in OPENAI_LIKE for word, meaning in load_facts()[kind].finish_reasons.items()]


def reader(kind: str = "custom", *, native: bool = True, stream: bool = True) -> ChatReader:
    numbers = itertools.count()
    dialect = OpenAiChat(load_facts()[kind], new_id=lambda: f"made-up-{next(numbers)}")
    return dialect.native_chat_reader(is_stream=stream) if native else dialect.chat_reader(is_stream=stream)


def read(into: ChatReader, *events: object) -> Pieces:
    answer = into.feed(b"".join(sse(*events)))
    answer.extend(into.finish())
    return answer


def body(finish: object, **message: object) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": "x", **message}, "finish_reason": finish}
    return json.dumps({"id": "1", "model": "m", "choices": [choice]}).encode()


@pytest.mark.requirement("P-9", "L-30")
@pytest.mark.parametrize(("kind", "word", "meaning"), WORDS, ids=str)
def test_every_known_word_becomes_one_that_clients_know_or_an_error(
    kind: str, word: str, meaning: FinishMeaning
) -> None:
    stream, whole = reader(kind), reader(kind, stream=False)
    chunks = read(stream, chunk("x"), chunk(finish=word), "[DONE]").native
    whole.feed(body(word))
    bodies = whole.finish().native

    if meaning == "error":
        for failed in (stream, whole):
            assert isinstance(failed.error, UpstreamUnavailable)
            assert failed.error.upstream is not None
            assert failed.error.upstream.code == word
            assert failed.finish_reason == ""
        assert bodies == []
        assert [json.loads(c)["choices"][0]["finish_reason"] for c in chunks] == [None]
        return
    finish = json.loads(chunks[-1])["choices"][0]
    assert finish["finish_reason"] == json.loads(bodies[0])["choices"][0]["finish_reason"] == meaning
    assert meaning in FINISH_REASONS
    assert finish.get("native_finish_reason", word) == word
    assert stream.native_finish_reason == whole.native_finish_reason == word
    assert list(stream.unknown_finish_reasons) == []


@pytest.mark.requirement("L-30")
@pytest.mark.parametrize("native", [True, False], ids=["native", "neutral"])
def test_unknown_word_promises_least_and_is_kept_and_counted(native: bool) -> None:
    answer_reader = reader(native=native)
    answer = read(answer_reader, chunk("x"), chunk(finish="brand_new"), "[DONE]")

    assert answer_reader.unknown_finish_reasons == ["brand_new"]
    assert (answer_reader.finish_reason, answer_reader.native_finish_reason) == ("length", "brand_new")
    if native:
        last = json.loads(answer.native[-1])["choices"][0]
        assert (last["finish_reason"], last["native_finish_reason"]) == ("length", "brand_new")
    else:
        assert answer_of_deltas(answer.deltas).finish_reason == "length"


def test_router_s_word_for_a_failure_behind_it_wins() -> None:
    failing = chunk(finish="stop")
    failing["choices"] = [
        {"index": 0, "delta": {}, "finish_reason": "stop", "native_finish_reason": "MALFORMED_RESPONSE"}
    ]
    answer_reader = reader("openrouter")
    read(answer_reader, chunk("x"), failing, "[DONE]")

    assert isinstance(answer_reader.error, UpstreamUnavailable)


def test_done_without_a_finish_ends_well_and_a_cut_does_not() -> None:
    good, cut = reader(), reader()
    chunks = read(good, chunk("x"), "[DONE]").native
    read(cut, chunk("x"))

    assert json.loads(chunks[-1])["choices"][0]["finish_reason"] == "stop"
    assert good.error is None
    assert isinstance(cut.error, LlmManagerError)


@pytest.mark.requirement("B-10", "L-29")
def test_calls_that_all_claim_index_0_are_told_apart() -> None:
    def call(**fields: object) -> dict[str, object]:
        return {**chunk(), "choices": [{"index": 0, "delta": {"tool_calls": [fields]}, "finish_reason": None}]}

    events = [
        call(index=0, id="a", type="function", function={"name": "f", "arguments": '{"x"'}),
        call(index=0, function={"arguments": ":1}"}),
        call(index=0, id="b", type="function", function={"name": "f", "arguments": "{}"}),
        call(id="null", function={"name": "g", "arguments": {"y": 2}}),
        call(index=0, id="b", function={"name": "f", "arguments": ""}),
        chunk(finish="tool_calls"),
        "[DONE]",
    ]
    # a call without index and id continues the one before it unless that is whole and this one has a name
    native, neutral = reader(), reader(native=False)
    chunks, deltas = read(native, *events).native, read(neutral, *events).deltas

    validator = StreamValidator()
    for event in chunks:
        validator.take(event)
    assert validator.close() == []
    assert delta_violations(deltas) == []
    assert answer_of_deltas(deltas).tool_calls == [("f", '{"x":1}'), ("f", "{}"), ("g", '{"y":2}')]


def test_whole_calls_get_ids_types_and_arguments_as_text() -> None:
    whole = reader(stream=False)
    whole.feed(
        body("stop", content=None, tool_calls=[{"id": "null", "function": {"name": "f", "arguments": {"x": 1.50}}}])
    )
    message = json.loads(whole.finish().native[0])["choices"][0]["message"]

    assert message["tool_calls"] == [
        {"id": "made-up-0", "type": "function", "function": {"name": "f", "arguments": '{"x":1.5}'}}
    ]
    assert whole.finish_reason == "tool_calls"


def test_body_that_needs_no_repair_passes_byte_for_byte_but_for_its_usage() -> None:
    raw = b'{"id" : "1","choices":[ {"index":0,"message":{"content":"x","n":1.10},"finish_reason":"stop"} ],"z":1e2}'
    whole = reader(stream=False)
    whole.feed(raw[:-1] + b',"usage":{"prompt_tokens":1,"completion_tokens":2}}')

    assert (
        b'"choices":[ {"index":0,"message":{"content":"x","n":1.10},"finish_reason":"stop"} ]'
        in whole.finish().native[0]
    )
    report = whole.usage()
    assert report is not None
    assert report.usage == Usage(input_uncached=1, output_text=2)


def test_groq_s_error_beside_its_id_is_an_error() -> None:
    answer_reader = reader("groq")
    read(answer_reader, chunk("x"), {**chunk(finish="stop"), "x_groq": {"id": "r", "error": "over capacity"}})

    assert isinstance(answer_reader.error, UpstreamUnavailable)
    assert "over capacity" in str(answer_reader.error)


@pytest.mark.parametrize("native", [True, False], ids=["native", "neutral"])
def test_error_as_a_plain_document_in_place_of_a_stream_is_an_error(native: bool) -> None:
    answer_reader = reader(native=native)
    answer_reader.feed(b'\n{"error":{"message":"no such ')
    answer_reader.feed(b'model","code":404}}')
    answer_reader.finish()

    assert isinstance(answer_reader.error, UpstreamRefused)
    assert "no such model" in str(answer_reader.error)


@pytest.mark.parametrize(
    "stuff", [b"", b"\n\n", b"<html>", b"data: 17\n\n", b"data: [1]\n\n", b"{", b": comment\n\n", b"data: [DONE]\n\n"]
)
def test_stuff_that_is_no_stream_is_an_error(stuff: bytes) -> None:
    for native in (True, False):
        answer_reader = reader(native=native)
        pieces = answer_reader.feed(stuff)
        pieces.extend(answer_reader.finish())
        assert not pieces
        assert answer_reader.error is not None


@pytest.mark.parametrize(
    "stuff", [b"", b"<html>", b"[]", b"17", b'{"choices":[]}', b'{"choices":null}', b'{"error":"x"}']
)
def test_stuff_that_is_no_body_is_an_error(stuff: bytes) -> None:
    answer_reader = reader(stream=False)
    answer_reader.feed(stuff)

    assert not answer_reader.finish()
    assert answer_reader.error is not None


def test_message_of_an_error_is_bounded_and_never_empty() -> None:
    facts = load_facts()["custom"]
    long = error_of_answer(facts, status=400, body=json.dumps({"message": "x" * 10_000}).encode(), headers={})
    empty = error_of_answer(facts, status=500, body=b"", headers={})

    assert len(str(long)) == 2000
    assert "it gave no reason" in str(empty)
