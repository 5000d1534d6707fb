"""Answers of legacy completions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types import Completion

from llm_manager.core.deltas import (
    AnswerInfo,
    Delta,
    Finish,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallStart,
)
from llm_manager.core.errors import UpstreamProtocolError
from llm_manager.gateway.inference.rules import Piece
from llm_manager.gateway.ingress.openai.completions import NativeTextChunks, NeutralTextChunks, TextCompletion

FALLBACK = AnswerInfo(id="cmpl-x", model="m", created=7)
INFO = AnswerInfo(id="a1", model="m-2026", created=9, system_fingerprint="fp")
HEAD = {"id": "a1", "object": "text_completion", "created": 9, "model": "m-2026", "system_fingerprint": "fp"}
USAGE = b'{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}'
STOP = Finish(reason="stop")


def _choice(text: str, index: int = 0, finish_reason: str | None = None, **more: Any) -> dict[str, Any]:
    return {"text": text, "index": index, "logprobs": None, "finish_reason": finish_reason, **more}


def _chunks(*deltas: Delta, include_usage: bool = False) -> list[dict[str, Any]]:
    writer = NeutralTextChunks(FALLBACK, include_usage=include_usage)
    written = writer.write(Piece(info=INFO, deltas=deltas))
    written += writer.finish(USAGE if include_usage else None)
    return [json.loads(chunk) for chunk in written]


def test_a_whole_completion_is_exactly_this() -> None:
    completion = TextCompletion(FALLBACK)
    completion.add(Piece(info=INFO, deltas=(TextDelta(text="upon "), TextDelta(text="more", choice=1))))
    completion.add(Piece(deltas=(TextDelta(text="a time"), Finish(reason="length"), Finish(reason="stop", choice=1))))
    body = completion.body(USAGE)
    assert json.loads(body) == {
        **HEAD,
        "choices": [_choice("upon a time", 0, "length"), _choice("more", 1, "stop")],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    }
    assert Completion.model_validate_json(body, strict=True).choices[1].text == "more"


def test_a_completion_without_any_text_has_an_empty_one() -> None:
    completion = TextCompletion(FALLBACK)
    completion.add(Piece(deltas=(STOP,)))
    assert json.loads(completion.body(b"null"))["choices"] == [_choice("", 0, "stop")]


def test_reasoning_and_refusals_are_not_lost() -> None:
    completion = TextCompletion(FALLBACK)
    completion.add(Piece(deltas=(ReasoningDelta(text="hm"), RefusalDelta(text="No."), STOP)))
    assert json.loads(completion.body(b"null"))["choices"] == [_choice("No.", 0, "stop", reasoning_content="hm")]


@pytest.mark.requirement("L-5")
def test_a_stream_never_has_a_null_text_and_its_usage_no_choices() -> None:
    chunks = _chunks(TextDelta(text="upon"), ReasoningDelta(text="hm"), TextDelta(text=" a"), STOP, include_usage=True)
    assert chunks == [
        {**HEAD, "choices": [_choice("upon")], "usage": None},
        {**HEAD, "choices": [_choice("", reasoning_content="hm")], "usage": None},
        {**HEAD, "choices": [_choice(" a")], "usage": None},
        {**HEAD, "choices": [_choice("", 0, "stop")], "usage": None},
        {**HEAD, "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}},
    ]
    assert all(Completion.model_validate(chunk) for chunk in chunks[-2:])


def test_nobody_sees_usage_who_did_not_ask() -> None:
    assert all("usage" not in chunk for chunk in _chunks(TextDelta(text="Hi"), STOP))


BROKEN: list[tuple[Delta, ...]] = [
    (),
    (TextDelta(text="Hi"),),
    (TextDelta(text="Hi"), Finish(reason="stop", choice=1)),
    (ToolCallStart(index=0, id="c", name="f"),),
]


@pytest.mark.parametrize("deltas", BROKEN)
def test_a_stream_that_breaks_its_form_is_an_error(deltas: tuple[Delta, ...]) -> None:
    with pytest.raises(UpstreamProtocolError):
        _chunks(*deltas)


def test_a_choice_that_goes_on_after_its_end_is_an_error() -> None:
    with pytest.raises(UpstreamProtocolError):
        _chunks(STOP, TextDelta(text="Hi"))


@pytest.mark.parametrize("deltas", BROKEN)
def test_a_completion_that_breaks_its_form_is_an_error(deltas: tuple[Delta, ...]) -> None:
    completion = TextCompletion(FALLBACK)
    with pytest.raises(UpstreamProtocolError):  # noqa: PT012 # either of the two may find it
        completion.add(Piece(deltas=deltas))
        completion.body(b"null")


EVENT = b'{"id":"n1", "object":"text_completion","created":5,"model":"x","choices":[{"text":" a","index":0}],"new":1}'
WITH_NULL = EVENT[:-1] + b',"usage":null}'
WITH_USAGE = EVENT[:-1] + b',"usage":{"total_tokens":3}}'
LAST = b'{"id":"n1","object":"text_completion","created":5,"model":"x","choices":[],"usage":{"total_tokens":3}}'


@pytest.mark.parametrize("event", [EVENT, WITH_NULL])
def test_the_events_of_a_provider_that_completes_texts_go_through(event: bytes) -> None:
    writer = NativeTextChunks(FALLBACK, include_usage=False)
    assert writer.write(Piece(native=(event, LAST))) == [event]
    assert writer.finish(None) == []


@pytest.mark.requirement("L-5")
def test_the_usage_of_native_events_comes_once_and_only_to_who_asks() -> None:
    quiet = NativeTextChunks(FALLBACK, include_usage=False)
    assert [json.loads(chunk) for chunk in quiet.write(Piece(native=(WITH_USAGE,)))] == [json.loads(EVENT)]
    writer = NativeTextChunks(FALLBACK, include_usage=True)
    chunks = [json.loads(chunk) for chunk in writer.write(Piece(native=(EVENT, WITH_NULL, WITH_USAGE, LAST)))]
    assert chunks == [{**json.loads(EVENT), "usage": None}] * 3
    (last,) = writer.finish(USAGE)
    head = {"id": "n1", "object": "text_completion", "created": 5, "model": "x"}
    assert json.loads(last) == {**head, "choices": [], "usage": json.loads(USAGE)}


def test_a_native_event_that_is_no_chunk_is_an_error() -> None:
    with pytest.raises(UpstreamProtocolError):
        NativeTextChunks(FALLBACK, include_usage=False).write(Piece(native=(b"[]",)))
