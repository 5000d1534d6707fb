"""What servers really send beside the book: counts that are none, bare chunks, half characters, failures in words."""

from __future__ import annotations

import base64
import json
import struct
import time
from typing import Any

import pytest
from dialects import main_dialect

from llm_manager.core.errors import LlmManagerError, UpstreamProtocolError
from llm_manager.core.facts import load_facts
from llm_manager.core.usage import Usage, UsageReport, UsageSource
from llm_manager.kit.lenient_json import mended
from llm_manager.providers.dialects.numbers import unix_seconds, usd_text, whole_number
from llm_manager.providers.dialects.openai_chat.dialect import OpenAiChat
from llm_manager.providers.dialects.openai_chat.reader import ChatReader
from llm_manager.providers.dialects.pointers import EXACT_DECODER, find_raw
from llm_manager.providers.dialects.upstream_errors import error_in_stream, error_of_answer
from llm_manager.testing.upstream import chunk, sse

CUSTOM = load_facts()["custom"]
REAL = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
ZERO = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


def reader(*, is_stream: bool = True) -> ChatReader:
    return OpenAiChat(CUSTOM, new_id=iter([f"made-{i}" for i in range(9)]).__next__).native_chat_reader(
        is_stream=is_stream
    )


def read(into: ChatReader, *events: object, start: bytes = b"") -> list[dict[str, Any]]:
    answer = into.feed(start + b"".join(sse(*events, "[DONE]")))
    answer.extend(into.finish())
    assert into.error is None
    return [json.loads(event) for event in answer.native]


def report_of(*reports: str) -> UsageReport | None:
    answer_reader = reader()
    events = ['{"choices":[],"usage":' + report + "}" for report in reports]
    read(answer_reader, chunk("Trent and Tyne"), chunk(finish="stop"), *events)
    return answer_reader.usage()


@pytest.mark.parametrize(
    "number", ["1e3000000", "9" * 5000, "18446744073709551616", "1e99999999999999999999", "-1", "0.5"]
)
def test_count_that_is_none_is_unknown_and_costs_no_time(number: str) -> None:
    started = time.process_time()
    report = report_of('{"prompt_tokens":' + number + ',"completion_tokens":3}')

    assert time.process_time() - started < 2
    assert report is not None
    assert (report.usage, report.source) == (Usage(output_text=3), UsageSource.ESTIMATED)


@pytest.mark.parametrize("number", ["12", '"12"', "12.0", "1.2e1"])
def test_count_in_another_spelling_is_a_count(number: str) -> None:
    report = report_of('{"prompt_tokens":' + number + ',"completion_tokens":3}')

    assert report is not None
    assert (report.usage, report.source) == (Usage(input_uncached=12, output_text=3), UsageSource.PROVIDER)


def test_numbers_are_bounded_before_they_are_converted() -> None:
    huge = EXACT_DECODER.decode(b"[1e3000000,-1e3000000,0e3000000,1e-3000000,1e99999999999999999999]")

    assert [whole_number(number) for number in huge] == [None, None, 0, None, None]
    assert [usd_text(number) for number in huge] == [None, None, "0", None, None]
    # ticks of xAI: 57,462,500 are more than half a cent, and a million dollars are the most
    assert [usd_text(ticks, unit="0.0000000001") for ticks in (57_462_500, 1, 10**16, 10**16 + 1)] == [
        "0.0057462500", "0.0000000001", "1000000.0000000000", None,
    ]  # fmt: skip
    assert [unix_seconds(value) for value in (1.5, huge[0], -3, "x", True)] == [1, 0, 0, 0, 0]
    assert whole_number(10**12) == 10**12
    assert whole_number(10**12 + 1) is None


@pytest.mark.parametrize(
    ("reports", "usage", "source"),
    [
        ((ZERO, REAL), Usage(input_uncached=12, output_text=3), UsageSource.PROVIDER),
        ((REAL, ZERO), Usage(input_uncached=12, output_text=3), UsageSource.PROVIDER),
        (({"prompt_tokens": 0, "completion_tokens": 4},), Usage(output_text=4), UsageSource.ESTIMATED),
        (({"prompt_tokens": 4, "completion_tokens": 0},), Usage(input_uncached=4), UsageSource.ESTIMATED),
    ],
)
def test_zero_is_no_count_of_an_answer(reports: tuple[dict[str, int], ...], usage: Usage, source: UsageSource) -> None:
    report = report_of(*map(json.dumps, reports))

    assert report is not None
    assert (report.usage, report.source) == (usage, source)


def test_usage_beside_the_finish_counts_and_is_not_shown() -> None:
    end: dict[str, Any] = chunk(finish="stop")
    end["choices"][0]["usage"] = REAL
    answer_reader = reader()
    chunks = read(answer_reader, chunk("Oder"), end)

    report = answer_reader.usage()
    assert report is not None
    assert report.usage == Usage(input_uncached=12, output_text=3)
    assert "usage" not in json.dumps(chunks)
    assert find_raw(b'{"a":[{"b":1}]}', "a.1.b") == b""


def test_bare_chunks_become_whole_ones_with_one_id() -> None:
    bare = [{"choices": [{"delta": {"content": text}}]} for text in ("Sal", "zach")]
    chunks = read(reader(), *bare, {"choices": [{"delta": None, "finish_reason": "stop"}]}, {"usage": REAL})

    assert {each["id"] for each in chunks} == {"made-0"}
    assert all({"id", "object", "created", "model", "choices"} <= each.keys() for each in chunks)
    choices = [choice for each in chunks for choice in each["choices"]]
    assert all({"index", "delta", "finish_reason"} <= choice.keys() for choice in choices)
    assert "".join(choice["delta"].get("content", "") for choice in choices) == "Salzach"


def test_empty_finish_is_none() -> None:
    chunks = read(reader(), chunk("A", finish=""), chunk("are", finish=""), chunk(finish="stop"))

    assert [each["choices"][0]["finish_reason"] for each in chunks] == [None, None, "stop"]


def called(call: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = chunk()
    said["choices"][0]["delta"] = {"tool_calls": [call]}
    return said


def test_calls_without_index_and_id_stay_apart_and_end_as_calls() -> None:
    calls = [{"id": "", "type": "function", "function": {"name": "gauge", "arguments": text}} for text in ("{}", "[]")]
    chunks = read(reader(), *map(called, calls), chunk(finish="stop"))

    parts = [part for each in chunks for part in each["choices"][0]["delta"].get("tool_calls", ())]
    assert [(part["index"], part["id"]) for part in parts] == [(0, "made-0"), (1, "made-1")]
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("index", [10**30, -1, "x", 1e30])
def test_index_that_is_none_fails_no_answer(index: object) -> None:
    odd: dict[str, Any] = chunk("x")
    odd["choices"][0]["index"] = index
    chunks = read(reader(), odd, chunk(finish="stop"))

    assert [each["choices"][0]["index"] for each in chunks] == [0, 0]


def test_halves_of_a_character_in_two_chunks_are_joined() -> None:
    halves = [json.dumps(chunk(text)) for text in ("a\ud83d", "\ude00b", "\ud83d!")]
    answer_reader = reader()
    chunks = read(answer_reader, *halves, chunk(finish="stop", usage=REAL), start=b"\xef\xbb\xbf")

    assert "".join(each["choices"][0]["delta"].get("content", "") for each in chunks) == "a\U0001f600b\ufffd!"
    assert answer_reader.usage() is not None


@pytest.mark.parametrize(
    ("written", "readable"),
    [
        (b'\xef\xbb\xbf{"a":NaN,"b":[-Infinity],"c":"NaN"}', b'{"a":null,"b":[null],"c":"NaN"}'),
        (rb'["\ud83d","\\ud83d","\ud83d\ude00"]', rb'["\ufffd","\\ud83d","\ud83d\ude00"]'),
        (b"[1e99999,1e10," + b"9" * 101 + b"]", b"[null,1e10,null]"),
        (b'["\xff"]', b'["\xef\xbf\xbd"]'),
    ],
)
def test_json_is_mended_and_nothing_else_is_touched(written: bytes, readable: bytes) -> None:
    assert mended(written) == readable


@pytest.mark.parametrize("kind", ["openai", "anthropic", "gemini", "cohere", "ollama"])
@pytest.mark.parametrize("is_stream", [True, False])
def test_byte_order_mark_hides_no_failure(kind: str, *, is_stream: bool) -> None:
    answer_reader = main_dialect(kind).chat_reader(is_stream=is_stream)
    said = b'"message":"no room"' if kind == "cohere" else b'"type":"error","error":{"message":"no room"}'
    body = b"\xef\xbb\xbf{" + said + b"}"
    for at in range(len(body)):
        answer_reader.feed(body[at : at + 1])
    answer_reader.finish()

    assert isinstance(answer_reader.error, LlmManagerError)
    assert "no room" in str(answer_reader.error)


@pytest.mark.parametrize("is_stream", [True, False])
def test_failure_in_a_status_of_its_own_is_told(*, is_stream: bool) -> None:
    answer_reader = reader(is_stream=is_stream)
    said = {"choices": None, "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}
    answer_reader.feed(json.dumps(said).encode())
    answer_reader.finish()

    assert answer_reader.error is not None
    assert "insufficient balance" in str(answer_reader.error)


def test_page_and_redirect_are_told_in_a_sentence() -> None:
    page = b"<!DOCTYPE html><html><head><title>502 Bad\nGateway</title></head>" + b"x" * 40_000
    bad = error_of_answer(CUSTOM, status=502, body=page, headers={})
    away = error_of_answer(CUSTOM, status=307, body=b"", headers={"location": "http://10.0.0.1/"})

    assert "title '502 Bad Gateway'" in str(bad)
    assert len(str(bad)) < 200
    assert isinstance(away, UpstreamProtocolError)
    assert "redirect (307)" in str(away)
    assert "10.0.0.1" not in str(away)
    assert len(str(error_in_stream(CUSTOM, page))) < 200


@pytest.mark.parametrize("is_text_asked", [True, False])
def test_vectors_come_in_the_form_that_was_asked(*, is_text_asked: bool) -> None:
    vector = [0.5, -1.0, 2.0, 0.25]
    text = base64.b64encode(struct.pack("<4f", *vector)).decode()
    asked = json.dumps({"encoding_format": "base64" if is_text_asked else "float"}).encode()
    into = OpenAiChat(CUSTOM, new_id=str).native_embeddings_reader(asked)
    into.feed(json.dumps({"data": [{"index": 0, "embedding": vector if is_text_asked else text}]}).encode())

    answer = json.loads(into.finish().native[0])
    assert answer["data"] == [{"index": 0, "embedding": text if is_text_asked else vector}]
