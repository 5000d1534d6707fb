"""Chunks that are read by what stands around their text come out as if they had been decoded."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence

import pytest

from llm_manager.core.facts import Facts, load_facts
from llm_manager.providers.dialects.openai_chat.repeats import Repeats
from llm_manager.providers.dialects.openai_chat.stream import ChatStreamReader
from llm_manager.providers.dialects.port import Pieces
from llm_manager.testing.recordings import Recording, load, why_absent

FACTS = load_facts()
TEXT = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}


@pytest.fixture
def without_repeats(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def learn(repeats: Repeats, event: str, text: str, choice: int) -> None:
        """Remember nothing."""

    return lambda: monkeypatch.setattr(Repeats, "learn", learn)


def read(facts: Facts, pieces: Sequence[bytes], *, is_native: bool) -> tuple[object, ...]:
    """Return all that a reader says of a stream."""
    numbers = itertools.count()
    reader = ChatStreamReader(facts, is_native=is_native, new_id=lambda: f"made-up-{next(numbers)}")
    answer = Pieces()
    for piece in pieces:
        answer.extend(reader.feed(piece))
    answer.extend(reader.finish())
    error = None if reader.error is None else (reader.error.code, reader.error.message)
    return answer, reader.written, reader.usage(), reader.finish_reason, reader.unknown_finish_reasons, error


def event(*choices: object, **fields: object) -> str:
    return json.dumps({**TEXT, "choices": list(choices), **fields}, separators=(",", ":"), ensure_ascii=False)


def said(text: str, index: int = 0, **fields: object) -> dict[str, object]:
    return {"index": index, "delta": {"content": text}, "finish_reason": None, **fields}


def stream(*events: str) -> list[bytes]:
    return [f"data: {each}\n\n".encode() for each in (*events, "[DONE]")]


ROLE = event({"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None})
STOP = event({"index": 0, "delta": {}, "finish_reason": "stop"})
# what may come behind two chunks that are alike
NEXT = {
    "a quote": event(said('a "word"')),
    "an escape": event(said("a\\b\n")),
    "an escape written by hand": event(said("X")).replace("X", "\\u00e9\\ud83d\\ude00"),
    "half a character": event(said("X")).replace("X", "\\ud83d"),
    "no text": event(said("")),
    "a word that no JSON is": event(said("NaN, Infinity")),
    "a line end within the text": event(said("X")).replace("X", "a\tb"),
    "another id": event(said("x"), id="d"),
    "another time": event(said("x"), created=2),
    "another model": event(said("x"), model="n"),
    "a finish": event(said("x", finish_reason="stop")),
    "a finish of no meaning": event(said("x", finish_reason="made_up")),
    "another choice": event(said("x", index=1)),
    "two choices": event(said("x"), said("y", index=1)),
    "a role": event({"index": 0, "delta": {"role": "assistant", "content": "x"}, "finish_reason": None}),
    "a call": event({"index": 0, "delta": {"content": "x", "tool_calls": [{"index": 0, "function": {"name": "f"}}]}}),
    "reasoning": event({"index": 0, "delta": {"content": "x", "reasoning": "y"}, "finish_reason": None}),
    "a list": event({"index": 0, "delta": {"content": [{"type": "text", "text": "x"}]}, "finish_reason": None}),
    "usage": event(said("x"), usage={"prompt_tokens": 1, "completion_tokens": 2}),
    "no usage yet": event(said("x"), usage=None),
    "an error": event(said("x"), error={"message": "broken"}),
    "probabilities": event(said("x", logprobs={"content": [{"token": "x", "logprob": -0.5}]})),
    "the same words elsewhere": event(said("x", logprobs={"content": "x"})),
    "probabilities that say more": "\n\ndata: ".join(
        event({"index": 0, "logprobs": {"content": text}, "delta": {"content": "x"}, "finish_reason": None})
        for text in ("x", "yy")
    ),
    "two finishes": "\n\ndata: ".join(event(said(text, finish_reason="made_up")) for text in "xy"),
    "an event that is called an error": f"{event(said('x'))}\n\nevent: error\ndata: {event(said('y'))}",
    "no JSON": event(said("x"))[:-1],
    "more behind the end": event(said("x")) + "}",
    "padding": event(said("x"), obfuscation="abc"),
    "many words": event(said("x" * 100_000)),
    "spaces": event(said(" \u00a0\u3000\u200b")),
    "bytes that are no text": "REPLACED",
}


@pytest.mark.parametrize("is_native", [True, False], ids=["native", "neutral"])
@pytest.mark.parametrize("kind", ["openai", "custom", "groq", "openrouter"])
@pytest.mark.parametrize("name", NEXT)
def test_what_differs_in_more_than_its_text_is_decoded(
    name: str, kind: str, is_native: bool, without_repeats: Callable[[], None]
) -> None:
    pieces = stream(ROLE, event(said("a")), event(said("b")), NEXT[name], event(said("c")), event(said("d")), STOP)
    pieces = [piece.replace(b"REPLACED", event(said("x")).encode().replace(b"x", b"\xff")) for piece in pieces]
    seen = read(FACTS[kind], pieces, is_native=is_native)
    without_repeats()
    assert seen == read(FACTS[kind], pieces, is_native=is_native)


PADDED = {
    "the same": event(said("b"), obfuscation="12345"),
    "of another length": event(said("b"), obfuscation=""),
    "with an escape": event(said("b"), obfuscation='"\\'),
    "that is no text": event(said("b"), obfuscation=1),
    "that is left out": event(said("b")),
    "under another name": event(said("b"), p="abc"),
    "before something": event(said("b"), obfuscation="abc", usage={"prompt_tokens": 1, "completion_tokens": 2}),
    "that is no JSON": event(said("b"), obfuscation="X").replace("X", "\t"),
    "without an end": event(said("b"), obfuscation="abc")[:-2],
}


@pytest.mark.parametrize("is_native", [True, False], ids=["native", "neutral"])
@pytest.mark.parametrize("name", PADDED)
@pytest.mark.parametrize("first", ["123", "", 'a"b', "a\\"])
def test_padding_may_differ_too(first: str, name: str, is_native: bool, without_repeats: Callable[[], None]) -> None:
    pieces = stream(ROLE, event(said("a"), obfuscation=first), PADDED[name], event(said("c"), obfuscation="4"), STOP)
    seen = read(FACTS["openai"], pieces, is_native=is_native)
    without_repeats()
    assert seen == read(FACTS["openai"], pieces, is_native=is_native)


PROVIDERS = ("openai", "groq", "mistral", "together", "openai_compatible")
RECORDED = [] if why_absent() else [r for r in load(providers=PROVIDERS, operations=("chat",)) if r.is_stream]


@pytest.mark.skipif(why_absent() is not None, reason=why_absent() or "")
@pytest.mark.parametrize("recording", RECORDED, ids=lambda r: r.id)
def test_recorded_streams_come_out_the_same(recording: Recording, without_repeats: Callable[[], None]) -> None:
    facts = FACTS[recording.provider if recording.provider in FACTS else "custom"]
    seen = [read(facts, [recording.body], is_native=is_native) for is_native in (True, False)]
    without_repeats()
    assert seen == [read(facts, [recording.body], is_native=is_native) for is_native in (True, False)]


@pytest.mark.skipif(why_absent() is not None, reason=why_absent() or "")
def test_most_chunks_of_a_long_text_are_not_decoded(
    monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    texts = [r for r in RECORDED if r.provider in ("openai", "groq", "mistral") and r.body.count(b'"content":"') > 20]
    found: list[str] = []
    look = Repeats.text_of

    def text_of(repeats: Repeats, chunk: str) -> str:
        found.append(look(repeats, chunk))
        return found[-1]

    monkeypatch.setattr(Repeats, "text_of", text_of)
    for recording in texts:
        read(FACTS[recording.provider], [recording.body], is_native=True)
    share = sum(map(bool, found)) / len(found)
    record_property("figures", f"{len(texts)} recordings, {len(found)} chunks, {share:.0%} read without decoding")
    assert share > 0.8
