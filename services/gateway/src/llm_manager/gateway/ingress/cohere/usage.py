"""Usage in Cohere's counts, from disjoint buckets: `tokens` is what was counted, `billed_units` what is charged."""

from __future__ import annotations

from typing import Any

from llm_manager.core.usage import Usage, UsageReport, UsageSource

# Any: JSON documents are built here
Json = dict[str, Any]


def chat_usage(report: UsageReport) -> Json | None:
    """Return the `usage` of a chat; None when nobody knows what was used.

    `is_estimated` is an extension of ours, present and true when the provider reported nothing.
    """
    if report.source is UsageSource.UNKNOWN:
        return None
    usage, billed = report.usage, report.billed or report.usage
    tokens = {"input_tokens": usage.input_total, "output_tokens": usage.output_total}
    if usage.output_reasoning:
        tokens["reasoning_tokens"] = usage.output_reasoning
    members: Json = {
        "billed_units": {"input_tokens": billed.input_total, "output_tokens": billed.output_total},
        "tokens": tokens,
        "cached_tokens": usage.cache_read,
    }
    if billed.search_units:
        members["billed_units"]["search_units"] = billed.search_units
    if report.source is UsageSource.ESTIMATED:
        members["is_estimated"] = True
    return members


def meta(report: UsageReport) -> Json:
    """Return the `meta` of vectors and of an order: what is charged, as far as anybody knows."""
    members: Json = {"api_version": {"version": "2"}}
    if report.source is UsageSource.UNKNOWN:
        return members
    billed: Usage = report.billed or report.usage
    text = billed.input_total - billed.input_image
    units = {"input_tokens": text, "image_tokens": billed.input_image, "search_units": billed.search_units}
    members["billed_units"] = {name: count for name, count in units.items() if count}
    if report.source is UsageSource.ESTIMATED:
        members["is_estimated"] = True
    return members
