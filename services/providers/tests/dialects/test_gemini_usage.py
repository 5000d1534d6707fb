"""What Gemini's reports of usage amount to, in buckets and in money."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any  # JSON documents

import pytest

from llm_manager.core.facts import load_facts
from llm_manager.core.prices import Price, PriceBook
from llm_manager.core.usage import Usage, UsageReport, UsageSource
from llm_manager.providers.dialects.gemini_generate.dialect import GeminiGenerate

FACTS = load_facts()["gemini"]
Json = dict[str, Any]


def report_of(usage: Json, *parts: Json) -> UsageReport:
    reader = GeminiGenerate(FACTS, new_id=str).chat_reader(is_stream=False)
    candidate = {"content": {"parts": parts, "role": "model"}, "finishReason": "STOP"}
    reader.feed(json.dumps({"candidates": [candidate], "usageMetadata": usage}).encode())
    reader.finish()
    report = reader.usage()
    assert report is not None
    assert json.loads(report.raw) == usage
    return report


@pytest.mark.requirement("L-6", "T-11")
def test_cached_tokens_are_charged_once() -> None:
    report = report_of(
        {
            "promptTokenCount": 262_960,
            "cachedContentTokenCount": 257_955,
            "candidatesTokenCount": 1_744,
            "totalTokenCount": 264_704,
        },
        {"text": "x"},
    )
    rates = {"input_uncached": 1_250_000_000_000, "cache_read": 625_000_000_000, "output_text": 10_000_000_000_000}
    price = Price(
        kind="gemini",
        models=("m",),
        valid_from=datetime(2025, 1, 1, tzinfo=UTC).date(),
        rates=rates,
        source="known-failures L-6",
        checked_on=datetime(2026, 11, 24, tzinfo=UTC).date(),
    )
    cost = PriceBook("test", [price]).cost_of(
        report.usage, kind="gemini", model="m", at=datetime(2026, 11, 24, tzinfo=UTC)
    )

    assert report.usage == Usage(input_uncached=5_005, cache_read=257_955, output_text=1_744)
    # 5,005 x 1.25 + 257,955 x 0.625 + 1,744 x 10 per million, to the last pico-dollar: $0.184918125
    assert cost.total_picousd == 184_918_125_000


@pytest.mark.requirement("P-7", "T-11")
@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        pytest.param(
            {"promptTokenCount": 5, "candidatesTokenCount": 30, "thoughtsTokenCount": 216, "totalTokenCount": 251},
            Usage(input_uncached=5, output_text=30, output_reasoning=216),
            id="thoughts beside",
        ),
        pytest.param(
            {"promptTokenCount": 5, "candidatesTokenCount": 246, "thoughtsTokenCount": 216, "totalTokenCount": 251},
            Usage(input_uncached=5, output_text=30, output_reasoning=216),
            id="thoughts inside, as the total says",
        ),
        pytest.param(
            {"promptTokenCount": 4, "thoughtsTokenCount": 499, "totalTokenCount": 503},
            Usage(input_uncached=4, output_reasoning=499),
            id="thoughts alone",
        ),
        pytest.param(
            {
                "promptTokenCount": 10,
                "toolUsePromptTokenCount": 90,
                "cachedContentTokenCount": 8,
                "candidatesTokenCount": 7,
                "thoughtsTokenCount": 3,
                "totalTokenCount": 110,
            },
            Usage(input_uncached=92, cache_read=8, output_text=7, output_reasoning=3),
            id="tools beside the prompt",
        ),
        pytest.param(
            {
                "promptTokenCount": 1518,
                "cachedContentTokenCount": 1136,
                "candidatesTokenCount": 202,
                "totalTokenCount": 1720,
                "promptTokensDetails": [
                    {"modality": "TEXT", "tokenCount": 43},
                    {"modality": "VIDEO", "tokenCount": 1315},
                    {"modality": "AUDIO", "tokenCount": 160},
                ],
                "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 118}],
                "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 200}],
            },
            Usage(input_uncached=340, cache_read=1136, input_audio=42, output_text=2, output_image=200),
            id="media apart",
        ),
    ],
)
def test_counts_go_into_buckets_that_do_not_overlap(usage: Json, expected: Usage) -> None:
    report = report_of(usage, {"text": ""})

    assert report.usage == expected
    assert report.source is UsageSource.PROVIDER
    assert report.usage.input_total + report.usage.output_total == usage["totalTokenCount"]


def test_output_that_was_not_counted_is_not_zero() -> None:
    usage = {"promptTokenCount": 8, "totalTokenCount": 8}

    assert report_of(usage, {"text": "Paris"}).source is UsageSource.ESTIMATED
    assert report_of(usage, {"text": ""}).source is UsageSource.PROVIDER
