"""What every provider really answered, as it leaves us in Cohere's dialect."""

from __future__ import annotations

import itertools
import json
from functools import cache
from typing import Any

import pytest
from cohere.v2.types.v2chat_response import V2ChatResponse
from cohere.v2.types.v2chat_stream_response import V2ChatStreamResponse
from dialects import main_dialect
from pydantic import TypeAdapter

from llm_manager.core.deltas import AnswerInfo
from llm_manager.core.facts import load_facts
from llm_manager.core.usage import UsageReport
from llm_manager.gateway.inference.rules import Outcome, Piece
from llm_manager.gateway.ingress.cohere.answer import Answer
from llm_manager.gateway.ingress.cohere.errors import DONE, failure_event
from llm_manager.gateway.ingress.cohere.events import PING, ChatEvents, native_event
from llm_manager.gateway.ingress.native import NativeEvents
from llm_manager.providers.dialects.port import AnswerReader, Pieces
from llm_manager.providers.dialects.registry import dialects_of
from llm_manager.testing.answers import meaning_of_arguments
from llm_manager.testing.recordings import Recording, load, oracle, why_absent

pytestmark = pytest.mark.skipif(why_absent() is not None, reason=str(why_absent()))

Json = dict[str, Any]
# What the main dialect of a kind reads; other wires have no reader here.
WIRES = {
    "openai_chat": "openai.chat",
    "anthropic_messages": "anthropic.messages",
    "gemini_generate": "gemini.generate",
    "cohere_v2": "cohere.chat.v2",
    "ollama_chat": "ollama.chat",
}
KINDS = {"openai_compatible": "custom"}
PROVIDERS = (
    *("anthropic", "cohere", "gemini", "groq", "mistral", "ollama", "openai", "openai_compatible", "together"),
)  # fmt: skip
EVENT: TypeAdapter[Any] = TypeAdapter(V2ChatStreamResponse)
FALLBACK = AnswerInfo(id="a1", model="m", created=7)


def _kind(recording: Recording) -> str:
    return KINDS.get(recording.provider, recording.provider)


@cache
def _wire(kind: str) -> str:
    facts = load_facts()[kind]
    try:
        return WIRES.get(facts.dialect, "") if dialects_of(facts) else ""
    except KeyError:
        return ""


def _answers() -> list[Recording]:
    if why_absent() is not None:
        return []
    return [
        item
        for item in load(providers=PROVIDERS, operations=("chat",))
        if item.status == 200
        and item.wire == _wire(_kind(item))
        # a broken answer never becomes one of ours: the worker fails the call
        and not item.expected["error"]
        and item.expected["finish_reason_normalised"] != "error"
    ]


ANSWERS = _answers()
STREAMS = [
    item
    for item in load(providers=("cohere",), operations=("chat",))
    if item.wire == "cohere.chat.v2" and item.is_stream and item.status == 200
]


def _read(reader: AnswerReader, body: bytes) -> tuple[list[Pieces], Outcome]:
    # in four parts, so that a stream comes in several pieces
    size = len(body) // 4 + 1
    pieces = [reader.feed(body[at : at + size]) for at in range(0, len(body), size)]
    pieces.append(reader.finish())
    assert reader.error is None
    return pieces, Outcome(report=reader.usage() or UsageReport())


def _neutral(recording: Recording) -> tuple[list[Piece], Outcome]:
    numbers = itertools.count()
    dialect = main_dialect(_kind(recording), make_id=lambda: f"made-up-{next(numbers)}")
    pieces, outcome = _read(dialect.chat_reader(is_stream=recording.is_stream), recording.body)
    return [Piece(info=piece.info, deltas=tuple(piece.deltas)) for piece in pieces if piece], outcome


def _whole(pieces: list[Piece], outcome: Outcome) -> bytes:
    answer = Answer(FALLBACK)
    for piece in pieces:
        answer.add(piece)
    body = answer.body(outcome)
    V2ChatResponse.model_validate_json(body)
    return body


def _streamed(pieces: list[Piece], outcome: Outcome) -> bytes:
    writer = ChatEvents(FALLBACK)
    data = b"".join(writer.write(piece) for piece in pieces) + writer.finish(outcome)
    for name, text, _ in oracle().sse_events(data):
        if text != "[DONE]":
            assert name == json.loads(text)["type"]
            EVENT.validate_json(text)
    return data


def _arguments(text: str | None) -> Any:
    value = meaning_of_arguments(text or "{}")
    return {} if value is None else value


def _assert_calls(told: Json, expected: Json) -> None:
    assert [call["name"] for call in told["tool_calls"]] == [call["name"] for call in expected["tool_calls"]]
    for mine, theirs in zip(told["tool_calls"], expected["tool_calls"], strict=True):
        assert _arguments(mine["arguments"]) == _arguments(theirs["arguments"])


REASONS = {"stop": "COMPLETE", "length": "MAX_TOKENS", "tool_calls": "TOOL_CALL", "content_filter": "ERROR_TOXIC"}


def _assert_reason(told: Json, expected: Json) -> None:
    wanted = expected["finish_reason_normalised"]
    if told["tool_calls"] and wanted == "stop":
        wanted = "tool_calls"
    if wanted in REASONS and told["finish_reason"] != "STOP_SEQUENCE":
        assert told["finish_reason"] == REASONS[wanted]


def _assert_counts(told: Json, expected: Json) -> None:
    names = ("input_tokens_total", "output_tokens_total", "cached_input_tokens")
    known = [name for name in names if expected[name] is not None]
    assert {name: told[name] or 0 for name in known} == {name: expected[name] for name in known}


@pytest.mark.requirement("S26", "T-1", "T-13", "L-29", "P-1", "P-4", "B-10")
@pytest.mark.parametrize("recording", ANSWERS, ids=lambda item: item.id)
def test_a_recorded_answer_says_and_counts_the_same_in_cohere_s_dialect(recording: Recording) -> None:
    pieces, outcome = _neutral(recording)
    expected = dict(recording.expected)
    for data in (_whole(pieces, outcome), _streamed(pieces, outcome)):
        _, told = oracle().read("cohere", "cohere.chat.v2", 200, data)
        assert told["text"] == expected["text"] + (expected["refusal"] or "")
        assert told["reasoning_text"] == expected["reasoning_text"]
        _assert_calls(told, expected)
        _assert_reason(told, expected)
        _assert_counts(told, expected)


@pytest.mark.requirement("S26", "T-14", "B-17")
@pytest.mark.parametrize("recording", STREAMS, ids=lambda item: item.id)
def test_a_recorded_stream_of_cohere_passes_untouched(recording: Recording) -> None:
    came = [(name, text) for name, text, _ in oracle().sse_events(recording.body)]
    writer = NativeEvents(native_event, fail=failure_event, ping=PING, end=DONE)
    data = b"".join(writer.write(Piece(native=(text.encode(),))) for _, text in came[:-1]) + writer.finish(Outcome())
    assert [(name, text) for name, text, _ in oracle().sse_events(data)] == came
