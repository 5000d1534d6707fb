"""What every provider really answered, as it leaves us in Anthropic's dialect."""

from __future__ import annotations

import itertools
import json
from functools import cache
from typing import Any

import pytest
from anthropic.types import Message, RawMessageStreamEvent
from dialects import main_dialect
from pydantic import TypeAdapter

from llm_manager.core.deltas import AnswerInfo
from llm_manager.core.facts import load_facts
from llm_manager.core.usage import UsageReport
from llm_manager.gateway.inference.rules import Outcome, Piece
from llm_manager.gateway.ingress.anthropic.answer import Answer
from llm_manager.gateway.ingress.anthropic.events import PING, MessageEvents, failure_event, native_event
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
EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
FALLBACK = AnswerInfo(id="msg_1", model="m", created=7)


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
    for item in load(providers=("anthropic",), operations=("chat",))
    if item.wire == "anthropic.messages" and item.is_stream and item.status == 200
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
    Message.model_validate_json(body, strict=True)
    return body


def _streamed(pieces: list[Piece], outcome: Outcome) -> bytes:
    writer = MessageEvents(FALLBACK)
    data = b"".join(writer.write(piece) for piece in pieces) + writer.finish(outcome)
    for name, text, _ in oracle().sse_events(data):
        event = json.loads(text)
        assert name == event["type"]
        if name != "ping":
            EVENT.validate_json(text, strict=True)
    return data


def _arguments(text: str | None) -> Any:
    value = meaning_of_arguments(text or "{}")
    return {} if value is None else value


def _assert_calls(told: Json, expected: Json) -> None:
    assert [call["name"] for call in told["tool_calls"]] == [call["name"] for call in expected["tool_calls"]]
    for mine, theirs in zip(told["tool_calls"], expected["tool_calls"], strict=True):
        meant = _arguments(mine["arguments"])
        wanted = _arguments(theirs["arguments"])
        # what is no JSON has a place of its own in whole answers, and stays as it is in streams
        assert meant in (wanted, {"INVALID_JSON": theirs["arguments"]})


REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}


def _assert_reason(told: Json, expected: Json) -> None:
    wanted = expected["finish_reason_normalised"]
    if told["tool_calls"] and wanted == "stop":
        wanted = "tool_calls"
    if expected["refusal"] and wanted == "stop":
        wanted = "content_filter"
    if wanted in REASONS and told["finish_reason"] not in ("stop_sequence", "pause_turn"):
        assert told["finish_reason"] == REASONS[wanted]


def _assert_counts(told: Json, expected: Json) -> None:
    names = ("input_tokens_total", "output_tokens_total", "cached_input_tokens")
    known = [name for name in names if expected[name] is not None]
    assert {name: told[name] or 0 for name in known} == {name: expected[name] for name in known}


@pytest.mark.requirement("S18", "S23", "S24", "S25", "S26", "S27", "T-1", "T-13", "L-29", "P-1", "P-4", "B-10")
@pytest.mark.parametrize("recording", ANSWERS, ids=lambda item: item.id)
def test_a_recorded_answer_says_and_counts_the_same_in_anthropic_s_dialect(recording: Recording) -> None:
    pieces, outcome = _neutral(recording)
    expected = dict(recording.expected)
    for data in (_whole(pieces, outcome), _streamed(pieces, outcome)):
        _, told = oracle().read("anthropic", "anthropic.messages", 200, data)
        assert told["text"] == expected["text"] + (expected["refusal"] or "")
        assert told["reasoning_text"] == expected["reasoning_text"]
        _assert_calls(told, expected)
        _assert_reason(told, expected)
        _assert_counts(told, expected)


@pytest.mark.requirement("S18", "T-14", "B-17")
@pytest.mark.parametrize("recording", STREAMS, ids=lambda item: item.id)
def test_a_recorded_stream_of_anthropic_passes_untouched(recording: Recording) -> None:
    came = [(name, text) for name, text, _ in oracle().sse_events(recording.body)]
    writer = NativeEvents(native_event, fail=failure_event, ping=PING)
    data = b"".join(writer.write(Piece(native=(text.encode(),))) for _, text in came) + writer.finish(Outcome())
    assert [(name, text) for name, text, _ in oracle().sse_events(data)] == came
