"""Usage in Anthropic's counts, from disjoint buckets: input_tokens leaves out what the cache gave or took."""

from __future__ import annotations

from llm_manager.core.usage import UsageReport, UsageSource

NOT_YET_KNOWN: dict[str, object] = {
    "input_tokens": 0,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 0,
    "output_tokens": 0,
}


# Anthropic's word for the tier that an answer was served in; others have more tiers than it has words.
_TIERS = {"default": "standard", "standard": "standard", "priority": "priority", "batch": "batch"}


def tier(service_tier: str) -> dict[str, object]:
    """Return the member of `usage` that says in which tier an answer was served; none where nobody knows."""
    known = _TIERS.get(service_tier)
    return {} if known is None else {"service_tier": known}


def message_usage(report: UsageReport) -> dict[str, object]:
    """Return the `usage` of an answer.

    `is_estimated` is an extension of ours, present and true when the provider reported nothing.
    """
    usage = report.usage
    members: dict[str, object] = {
        "input_tokens": usage.input_uncached + usage.input_audio + usage.input_image,
        "cache_creation_input_tokens": usage.cache_write_5m + usage.cache_write_1h,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_5m,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        },
        "output_tokens": usage.output_total,
    }
    if usage.output_reasoning:
        members["output_tokens_details"] = {"thinking_tokens": usage.output_reasoning}
    if usage.search_units:
        members["server_tool_use"] = {"web_search_requests": usage.search_units, "web_fetch_requests": 0}
    if report.source is not UsageSource.PROVIDER:
        members["is_estimated"] = True
    return members
