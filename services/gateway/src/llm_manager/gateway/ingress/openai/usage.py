"""Usage in OpenAI's totals, from disjoint buckets (known-failures L-5, L-8, L-11, P-5)."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from llm_manager.core.usage import Usage, UsageReport, UsageSource
from llm_manager.gateway.inference.rules import Outcome
from llm_manager.gateway.ingress.money import usd


def chat_usage(outcome: Outcome, *, keeps_native_keys: bool, with_cost: bool) -> bytes:
    """Render the `usage` of a chat as JSON; `null` when nobody knows what was used.

    Args:
        keeps_native_keys: the provider speaks OpenAI, so its own report goes through; totals and the details that the
            ledger knows are set from the buckets, so that prompt + completion = total always holds.
        with_cost: adds `cost`, the exact USD as a JSON number, null when unpriced. Without it a number of the
            provider's own stays, and a table of costs (Perplexity) always does: its total is what was booked.
    """
    report = outcome.report
    if report.source is UsageSource.UNKNOWN:
        return b"null"
    usage = report.usage
    members = _native(report) if keeps_native_keys else {}
    members["prompt_tokens"] = usage.input_total
    members["completion_tokens"] = usage.output_total
    members["total_tokens"] = usage.input_total + usage.output_total
    members["prompt_tokens_details"] = _details(
        members.get("prompt_tokens_details"), always=_prompt_always(usage), present=_prompt_present(usage)
    )
    members["completion_tokens_details"] = _details(
        members.get("completion_tokens_details"),
        always={"reasoning_tokens": usage.output_reasoning, "audio_tokens": usage.output_audio},
        present={"image_tokens": usage.output_image},
    )
    return _finished(members, outcome, with_cost=with_cost)


def embeddings_usage(outcome: Outcome, *, keeps_native_keys: bool, with_cost: bool) -> bytes:
    """Render the `usage` of embeddings as JSON; `null` when nobody knows what was used. See `chat_usage`."""
    report = outcome.report
    if report.source is UsageSource.UNKNOWN:
        return b"null"
    total = report.usage.input_total
    members = _native(report) if keeps_native_keys else {}
    members |= {"prompt_tokens": total, "total_tokens": total}
    return _finished(members, outcome, with_cost=with_cost)


def _finished(members: dict[str, object], outcome: Outcome, *, with_cost: bool) -> bytes:
    if outcome.report.source is UsageSource.ESTIMATED:
        members["is_estimated"] = True
    if with_cost and not isinstance(members.get("cost"), dict):
        total = outcome.cost.total_usd
        members["cost"] = None if total is None else Raw(usd(total).encode())
    return msgspec.json.encode(members)


def _prompt_always(usage: Usage) -> dict[str, int]:
    return {"cached_tokens": usage.cache_read, "audio_tokens": usage.input_audio}


def _prompt_present(usage: Usage) -> dict[str, int]:
    return {"cache_write_tokens": usage.cache_write_5m + usage.cache_write_1h, "image_tokens": usage.input_image}


def _native(report: UsageReport) -> dict[str, object]:
    try:
        return msgspec.json.decode(report.raw, type=dict[str, object])
    except msgspec.DecodeError:
        # the report may be empty, or another provider's shape; the buckets are the truth either way
        return {}


def _details(native: object, *, always: dict[str, int], present: dict[str, int]) -> dict[str, object]:
    members: dict[str, object] = {}
    if isinstance(native, dict):
        members.update({str(key): value for key, value in native.items()})  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] # JSON members
    members.update(always)
    members.update({key: count for key, count in present.items() if count or key in members})
    return members
