"""Where a Responses answer counts; the same for every provider of the dialect."""

from __future__ import annotations

from msgspec.structs import replace

from llm_manager.core.facts import Facts, UsagePointers
from llm_manager.core.usage import UsageReport
from llm_manager.providers.dialects.usage_report import read_report

# openai 3.54, types/responses/response_usage.py; cost stands where the provider's chats have it (OpenRouter).
_POINTERS = UsagePointers(
    input=("input_tokens",),
    output=("output_tokens",),
    total=("total_tokens",),
    cache_read=("input_tokens_details.cached_tokens",),
    cache_write=("input_tokens_details.cache_write_tokens",),
    input_audio=("input_tokens_details.audio_tokens",),
    input_image=("input_tokens_details.image_tokens",),
    reasoning=("output_tokens_details.reasoning_tokens",),
    output_audio=("output_tokens_details.audio_tokens",),
    output_image=("output_tokens_details.image_tokens",),
)


def report_of(facts: Facts, raw: bytes, *, response: bytes) -> UsageReport | None:
    """Return the counts of a report, None when it holds none.

    Args:
        response: the answer around it, where the facts look for the cost.
    """
    return read_report(replace(_POINTERS, cost=facts.usage.cost, cost_unit=facts.usage.cost_unit), raw, answer=response)
