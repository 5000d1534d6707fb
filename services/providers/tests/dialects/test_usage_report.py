"""Counts in buckets that do not overlap, from the reports of every kind."""

from __future__ import annotations

import pytest

from llm_manager.core.facts import load_facts
from llm_manager.core.usage import Usage, UsageReport, UsageSource
from llm_manager.providers.dialects.estimate import Written, characters_in, completed, estimated_report
from llm_manager.providers.dialects.openai_chat.dialect import OpenAiChat
from llm_manager.providers.dialects.openai_chat.reader import ChatReader
from llm_manager.providers.dialects.port import Pieces
from llm_manager.testing.upstream import chunk, sse


def reader(kind: str) -> ChatReader:
    return OpenAiChat(load_facts()[kind], new_id=lambda: "made-up").native_chat_reader(is_stream=True)


def read(into: ChatReader, *events: object) -> Pieces:
    answer = into.feed(b"".join(sse(*events)))
    answer.extend(into.finish())
    return answer


@pytest.mark.parametrize(
    ("kind", "usage", "expected"),
    [
        ("openai", {"prompt_tokens": 9, "completion_tokens": 4}, Usage(input_uncached=9, output_text=4)),
        (
            "openai",
            {
                "prompt_tokens": 100,
                "completion_tokens": 50,
                "prompt_tokens_details": {"cached_tokens": 30, "cache_write_tokens": 20, "audio_tokens": 60},
                "completion_tokens_details": {"reasoning_tokens": 15, "audio_tokens": 5},
            },
            Usage(
                cache_read=30, cache_write_5m=20, input_audio=50, output_text=30, output_reasoning=15, output_audio=5
            ),
        ),
        (
            "deepseek",
            {"prompt_tokens": 10, "completion_tokens": 2, "prompt_cache_hit_tokens": 6, "prompt_cache_miss_tokens": 4},
            Usage(input_uncached=4, cache_read=6, output_text=2),
        ),
        (
            "together",
            {"prompt_tokens": 10, "completion_tokens": 2, "cached_tokens": 3},
            Usage(input_uncached=7, cache_read=3, output_text=2),
        ),
        (
            "custom",
            {"prompt_tokens": 5, "completion_tokens": 3, "completion_tokens_details": {"reasoning_tokens": 9}},
            Usage(input_uncached=5, output_reasoning=3),
        ),
        (
            "custom",
            {"prompt_tokens": 5.0, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": -1}},
            Usage(input_uncached=5, output_text=3),
        ),
    ],
)
def test_usage_is_split_into_buckets_that_do_not_overlap(kind: str, usage: dict[str, object], expected: Usage) -> None:
    answer_reader = reader(kind)
    read(answer_reader, chunk("x"), chunk(finish="stop", usage=usage), "[DONE]")

    report = answer_reader.usage()
    assert report is not None
    assert report.usage == expected
    assert report.source is UsageSource.PROVIDER


def test_last_report_wins_and_reports_are_never_added() -> None:
    answer_reader = reader("groq")
    first, last = {"prompt_tokens": 5, "completion_tokens": 1}, {"prompt_tokens": 5, "completion_tokens": 9}
    finishing = {**chunk(finish="stop"), "x_groq": {"id": "r", "usage": first}}
    answer = read(answer_reader, chunk("x"), finishing, {"choices": [], "usage": last}, "[DONE]")

    report = answer_reader.usage()
    assert report is not None
    assert report.usage == Usage(input_uncached=5, output_text=9)
    assert not any(b"prompt_tokens" in event for event in answer.native)


@pytest.mark.parametrize(
    ("kind", "said", "cost"),
    [
        ("openrouter", "6e-7", "0.0000006"),
        ("openrouter", "0", "0"),
        ("openrouter", "null", None),
        (
            "custom",
            '{"total_cost":0.00501}',
            "0.00501",
        ),
        ("openai", "5", None),
    ],
)
def test_reported_cost_keeps_every_digit(kind: str, said: str, cost: str | None) -> None:
    answer_reader = reader(kind)
    event = '{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"cost":' + said + "}}"
    read(answer_reader, chunk("x"), chunk(finish="stop"), event, "[DONE]")

    report = answer_reader.usage()
    assert report is not None
    assert report.reported_cost_usd == cost


def test_estimate_is_four_characters_a_token_rounded_up_for_each_choice() -> None:
    written = Written({0: 5, 1: 4}, {0: 1})

    report = estimated_report(9, written)

    assert report == UsageReport(Usage(input_uncached=3, output_text=3, output_reasoning=1), UsageSource.ESTIMATED)
    assert estimated_report(0, Written()).source is UsageSource.UNKNOWN


def test_report_that_leaves_out_a_side_is_completed_there_alone() -> None:
    half = UsageReport(Usage(output_text=7), UsageSource.ESTIMATED, b"{}")
    whole = UsageReport(Usage(), UsageSource.PROVIDER, b"{}")
    written = Written({0: 400})

    assert completed(half, 40, written).usage == Usage(input_uncached=10, output_text=7)
    assert completed(whole, 40, written) is whole


def test_media_roles_and_ids_are_no_text() -> None:
    message = {"role": "user", "content": [{"type": "text", "text": "ab"}, {"image_url": {"url": "x" * 99}}], "n": 5}

    assert characters_in([message, "cd", None]) == 4
