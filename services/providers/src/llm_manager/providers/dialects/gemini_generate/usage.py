"""What Gemini's report of usage leaves to the reader: counts that are absent, and counts by medium."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from llm_manager.core.facts import UsagePointers
from llm_manager.core.usage import Usage, UsageReport
from llm_manager.providers.dialects.json_values import Json, table, tables
from llm_manager.providers.dialects.pointers import EXACT_DECODER, EXACT_ENCODER, find_count
from llm_manager.providers.dialects.usage_report import read_report

_OUTPUT = "candidatesTokenCount"


def report_of(pointers: UsagePointers, raw: bytes, *, has_visible_text: bool) -> UsageReport | None:
    """Return the counts of a report, None when it holds none.

    Args:
        raw: the last `usageMetadata` of the answer.
        has_visible_text: something was written that `candidatesTokenCount` should count. Gemini leaves the count out
            where nothing was (recordings, quirk 11), and also in the middle of a stream, and for Gemma: there it is
            unknown, not zero.
    """
    try:
        fields = table(EXACT_DECODER.decode(raw))
    except msgspec.DecodeError:
        return None
    is_counted = "thoughtsTokenCount" in fields or not has_visible_text
    is_complete = _OUTPUT not in fields and "totalTokenCount" in fields and is_counted
    report = read_report(pointers, EXACT_ENCODER.encode({**fields, _OUTPUT: 0}) if is_complete else raw)
    return None if report is None else replace(report, usage=_by_medium(report.usage, fields), raw=raw)


def embedding_report_of(pointers: UsagePointers, raw: bytes) -> UsageReport | None:
    """Return the counts of a report on vectors, None when it holds none."""
    report = read_report(pointers, raw, has_output=False)
    if report is None:
        return None
    fields = table(EXACT_DECODER.decode(raw))
    # named otherwise than in chats (gemini-embeddings-9ba735d999)
    fields.setdefault("promptTokensDetails", fields.get("promptTokenDetails"))
    return replace(report, usage=_by_medium(report.usage, fields))


def _by_medium(usage: Usage, fields: Json) -> Usage:
    """Move audio and pictures, which have prices of their own, out of the text; cached ones stay cached."""
    prompt = ("promptTokensDetails", "toolUsePromptTokensDetails")
    audio, image = (
        max(0, sum(_count(fields, name, medium) for name in prompt) - _count(fields, "cacheTokensDetails", medium))
        for medium in ("AUDIO", "IMAGE")
    )
    audio = min(audio, usage.input_uncached)
    image = min(image, usage.input_uncached - audio)
    spoken = min(_count(fields, "candidatesTokensDetails", "AUDIO"), usage.output_text)
    drawn = min(_count(fields, "candidatesTokensDetails", "IMAGE"), usage.output_text - spoken)
    return replace(
        usage,
        input_uncached=usage.input_uncached - audio - image,
        input_audio=usage.input_audio + audio,
        input_image=usage.input_image + image,
        output_text=usage.output_text - spoken - drawn,
        output_audio=usage.output_audio + spoken,
        output_image=usage.output_image + drawn,
    )


def _count(fields: Json, name: str, medium: str) -> int:
    details = tables(fields.get(name))
    return sum(find_count(detail, ("tokenCount",)) or 0 for detail in details if detail.get("modality") == medium)
