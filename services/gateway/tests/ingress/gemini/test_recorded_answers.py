"""What every provider really answered, as it leaves us in Gemini's dialect."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from dialects import main_dialect
from google.genai.types import GenerateContentResponse

from llm_manager.core.deltas import (
    AnswerInfo,
    Delta,
    Finish,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallArguments,
    ToolCallStart,
)
from llm_manager.core.facts import load_facts
from llm_manager.core.usage import Usage, UsageReport
from llm_manager.gateway.inference.rules import Outcome, Piece
from llm_manager.gateway.ingress.gemini.answer import Answer, AnswerEvents
from llm_manager.gateway.ingress.gemini.framing import ArrayFraming, EventFraming
from llm_manager.gateway.ingress.native import NativeEvents
from llm_manager.kit.sse import SseDecoder
from llm_manager.providers.dialects.port import AnswerReader, Pieces
from llm_manager.providers.dialects.registry import dialects_of
from llm_manager.testing.answers import Answer as Told
from llm_manager.testing.answers import meaning_of_arguments
from llm_manager.testing.recordings import Recording, load, oracle, why_absent

pytestmark = pytest.mark.skipif(why_absent() is not None, reason=str(why_absent()))

Json = dict[str, Any]
# What the main dialect of a kind reads.
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
FALLBACK = AnswerInfo(id="resp_1", model="m", created=7)
REASONS = {"stop": "STOP", "tool_calls": "STOP", "length": "MAX_TOKENS"}
_MALFORMED = "MALFORMED_FUNCTION_CALL"


def _kind(recording: Recording) -> str:
    return KINDS.get(recording.provider, recording.provider)


@cache
def _can_read(kind: str, wire: str) -> bool:
    facts = load_facts()[kind]
    try:
        return WIRES[facts.dialect] == wire and bool(dialects_of(facts))
    except KeyError:
        return False


def _answers() -> list[Recording]:
    if why_absent() is not None:
        return []
    found = [item for item in load(providers=PROVIDERS, operations=("chat",)) if item.status == 200]
    return [
        item
        for item in found
        if item.wire in WIRES.values()
        # a broken answer never becomes one of ours: the worker fails the call
        and not item.expected["error"]
        and item.expected["finish_reason_normalised"] != "error"
    ]


ANSWERS = _answers()
GEMINI_STREAMS = [item for item in ANSWERS if item.provider == "gemini" and item.is_stream]


def _read(reader: AnswerReader, body: bytes) -> tuple[list[Pieces], Outcome]:
    # in four parts, so that a stream comes in several pieces
    size = len(body) // 4 + 1
    pieces = [reader.feed(body[at : at + size]) for at in range(0, len(body), size)]
    pieces.append(reader.finish())
    assert reader.error is None
    return pieces, Outcome(report=reader.usage() or UsageReport())


def _as_expected(recording: Recording) -> tuple[list[Piece], Outcome]:
    """An answer as the independent reader understood it, for a dialect that workers cannot read yet."""
    said = recording.expected
    deltas: list[Delta] = [ReasoningDelta(text=said["reasoning_text"]), TextDelta(text=said["text"])]
    deltas += [RefusalDelta(text=said["refusal"])] if said["refusal"] else []
    for index, call in enumerate(said["tool_calls"]):
        deltas.append(ToolCallStart(index=index, id=call["id"] or f"c{index}", name=call["name"]))
        deltas.append(ToolCallArguments(index=index, fragment=call["arguments"] or ""))
    deltas.append(Finish(reason=said["finish_reason_normalised"] or "stop"))
    cached, thought = said["cached_input_tokens"] or 0, said["reasoning_tokens"] or 0
    usage = Usage(
        input_uncached=(said["input_tokens_total"] or 0) - cached,
        cache_read=cached,
        output_text=(said["output_tokens_total"] or 0) - thought,
        output_reasoning=thought,
    )
    return [Piece(deltas=(delta,)) for delta in deltas], Outcome(report=UsageReport(usage))


def _neutral(recording: Recording) -> tuple[list[Piece], Outcome]:
    if not _can_read(_kind(recording), recording.wire):
        return _as_expected(recording)
    numbers = itertools.count()
    dialect = main_dialect(_kind(recording), make_id=lambda: f"made-up-{next(numbers)}")
    pieces, outcome = _read(dialect.chat_reader(is_stream=recording.is_stream), recording.body)
    return [Piece(info=piece.info, deltas=tuple(piece.deltas)) for piece in pieces if piece], outcome


def _parsed(documents: list[str | bytes]) -> list[Json]:
    for document in documents:
        GenerateContentResponse.model_validate_json(document)
    return [json.loads(document) for document in documents]


def _whole(pieces: list[Piece], outcome: Outcome) -> list[Json]:
    answer = Answer(FALLBACK)
    for piece in pieces:
        answer.add(piece)
    return _parsed([answer.body(outcome)])


def _streamed(pieces: list[Piece], outcome: Outcome) -> list[Json]:
    writer = AnswerEvents(FALLBACK, EventFraming())
    data = b"".join(writer.write(piece) for piece in pieces) + writer.finish(outcome)
    decoder = SseDecoder()
    return _parsed([event.data for event in (*decoder.feed(data), *decoder.finish())])


def _parts(documents: list[Json], index: int = 0) -> Iterator[Json]:
    for document in documents:
        for candidate in document["candidates"]:
            if candidate["index"] == index:
                yield from candidate["content"]["parts"]


def _told(documents: list[Json]) -> Told:
    told = Told()
    for part in _parts(documents):
        if "functionCall" in part:
            call = part["functionCall"]
            told.tool_calls.append((call["name"], json.dumps(call["args"])))
        elif part.get("thought"):
            told.reasoning += part["text"]
        else:
            told.text += part["text"]
    return told


def _arguments(text: str | None) -> Any:
    value: Any = meaning_of_arguments(text or "{}")
    if value is None:
        return {}
    return {"INVALID_JSON": text} if isinstance(value, str) else value


def _assert_reasons(documents: list[Json], recording: Recording) -> None:
    reasons = [
        item["finishReason"] for document in documents for item in document["candidates"] if "finishReason" in item
    ]
    choices = {item["index"] for document in documents for item in document["candidates"]}
    assert len(reasons) == len(choices)
    wanted = recording.expected["finish_reason_normalised"]
    is_cut = any(call["arguments_valid"] is False for call in recording.expected["tool_calls"])
    if wanted in REASONS and not (is_cut and reasons[0] == _MALFORMED):
        assert reasons[0] == REASONS[wanted]


def _assert_counts(counts: Json, expected: Json) -> None:
    pairs = (
        (counts["promptTokenCount"] + counts.get("toolUsePromptTokenCount", 0), expected["input_tokens_total"]),
        (counts["candidatesTokenCount"] + counts.get("thoughtsTokenCount", 0), expected["output_tokens_total"]),
        (counts.get("cachedContentTokenCount", 0), expected["cached_input_tokens"]),
    )
    assert [mine for mine, theirs in pairs if theirs is not None] == [item for _, item in pairs if item is not None]
    summed = ("promptTokenCount", "toolUsePromptTokenCount", "candidatesTokenCount", "thoughtsTokenCount")
    assert counts["totalTokenCount"] == sum(counts.get(name, 0) for name in summed)


@pytest.mark.requirement("S23", "S24", "S25", "S26", "S27", "L-29", "P-4", "P-7", "B-10", "T-11")
@pytest.mark.parametrize("recording", ANSWERS, ids=lambda item: item.id)
def test_a_recorded_answer_says_and_counts_the_same_in_gemini_s_dialect(recording: Recording) -> None:
    pieces, outcome = _neutral(recording)
    expected = recording.expected
    for documents in (_whole(pieces, outcome), _streamed(pieces, outcome)):
        told = _told(documents)
        assert told.text == expected["text"] + (expected["refusal"] or "")
        assert told.reasoning == expected["reasoning_text"]
        assert [(name, json.loads(arguments)) for name, arguments in told.tool_calls] == [
            (call["name"], _arguments(call["arguments"])) for call in expected["tool_calls"]
        ]
        _assert_reasons(documents, recording)
        _assert_counts(documents[-1]["usageMetadata"], dict(expected))
        assert len({(item["responseId"], item["modelVersion"]) for item in documents}) == 1


@pytest.mark.requirement("S23", "T-14")
@pytest.mark.parametrize("recording", GEMINI_STREAMS, ids=lambda item: item.id)
def test_a_recorded_stream_of_gemini_passes_untouched_in_either_framing(recording: Recording) -> None:
    dialect: Any = main_dialect("gemini")  # the native side of the dialect
    pieces, outcome = _read(dialect.native_chat_reader(is_stream=True), recording.body)
    body = recording.body.strip()
    is_array = body[:1] in (b"[", b"{")
    came: list[Json] = json.loads(body) if is_array else [json.loads(data) for _, data, _ in oracle().sse_events(body)]
    for framing in (EventFraming(), ArrayFraming()):
        writer = NativeEvents(framing.frame, fail=framing.fail, ping=framing.ping, end=framing.end)
        data = b"".join(writer.write(Piece(native=tuple(piece.native))) for piece in pieces) + writer.finish(outcome)
        if isinstance(framing, ArrayFraming):
            assert json.loads(data) == came
        else:
            assert [json.loads(text) for _, text, _ in oracle().sse_events(data)] == came
