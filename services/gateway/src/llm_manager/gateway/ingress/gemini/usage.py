"""Usage in Gemini's counts, from disjoint buckets: thoughts beside candidates, cached tokens inside the prompt."""

from __future__ import annotations

import msgspec

from llm_manager.core.usage import Usage, UsageReport

Counts = dict[str, object]


class _Raw(msgspec.Struct, frozen=True, rename="camel"):
    tool_use_prompt_token_count: int | None = None


_RAW = msgspec.json.Decoder(_Raw)


def usage_metadata(report: UsageReport) -> Counts:
    """Return the `usageMetadata` of an answer; the total is the sum of what stands beside each other."""
    usage = report.usage
    tools = min(_tool_use(report.raw), usage.input_total)
    counts: Counts = {
        "promptTokenCount": usage.input_total - tools,
        "candidatesTokenCount": usage.output_total - usage.output_reasoning,
        "totalTokenCount": usage.input_total + usage.output_total,
    }
    optional = {
        "cachedContentTokenCount": usage.cache_read,
        "thoughtsTokenCount": usage.output_reasoning,
        "toolUsePromptTokenCount": tools,
    }
    counts |= {name: count for name, count in optional.items() if count}
    return counts | _by_medium(usage, tools)


def embedding_usage(report: UsageReport) -> Counts:
    """Return the `usageMetadata` of vectors."""
    return {"promptTokenCount": report.usage.input_total}


def _by_medium(usage: Usage, tools: int) -> Counts:
    """Say how much was no text, where anything was."""
    heard = {"AUDIO": usage.input_audio, "IMAGE": usage.input_image}
    said = {"AUDIO": usage.output_audio, "IMAGE": usage.output_image}
    prompt = {"TEXT": max(0, usage.input_total - tools - sum(heard.values())), **heard}
    answer = {"TEXT": usage.output_text, **said}
    counts: Counts = {}
    if any(heard.values()):
        counts["promptTokensDetails"] = _details(prompt)
    if any(said.values()):
        counts["candidatesTokensDetails"] = _details(answer)
    return counts


def _details(counts: dict[str, int]) -> list[dict[str, object]]:
    return [{"modality": medium, "tokenCount": count} for medium, count in counts.items() if count]


def _tool_use(raw: bytes) -> int:
    """What Gemini's own tools put into the prompt; nobody else counts it apart."""
    try:
        return max(0, _RAW.decode(raw).tool_use_prompt_token_count or 0) if raw else 0
    except (msgspec.DecodeError, UnicodeDecodeError):
        return 0
