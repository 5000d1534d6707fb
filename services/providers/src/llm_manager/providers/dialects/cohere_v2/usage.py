"""What Cohere's reports leave to the reader: pictures among embeddings, and what a rerank is charged by."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from llm_manager.core.facts import UsagePointers
from llm_manager.core.usage import Usage, UsageReport, UsageSource
from llm_manager.providers.dialects.pointers import EXACT_DECODER, find_count
from llm_manager.providers.dialects.usage_report import read_report

_IMAGE_TOKENS = ("billed_units.image_tokens",)
_IMAGES = ("billed_units.images",)


def vectors_report(pointers: UsagePointers, raw: bytes) -> UsageReport | None:
    """Return the counts of `meta` of an answer with vectors, None when it holds none.

    What is billed is all that is counted there: text, and beside it pictures, in tokens (Embed 4) or by the piece
    (Embed 3, cohere-embeddings-1ab8ae9035). No bucket counts pieces, so those are unknown, not zero.
    """
    try:
        fields: object = EXACT_DECODER.decode(raw)
    except msgspec.DecodeError:
        return None
    if find_count(fields, _IMAGES):
        return UsageReport(Usage(), UsageSource.UNKNOWN, raw)
    image = find_count(fields, _IMAGE_TOKENS)
    report = read_report(pointers, raw, has_output=False)
    if report is None:
        return None if image is None else UsageReport(Usage(input_image=image), UsageSource.PROVIDER, raw)
    return replace(report, usage=replace(report.usage, input_image=image or 0), billed=None)


def order_report(pointers: UsagePointers, raw: bytes) -> UsageReport | None:
    """Return the counts of `meta` of a rerank, None when it holds none.

    Where tokens are counted beside search units, only what stands in `billed_units` is charged.
    """
    report = read_report(pointers, raw, has_output=False)
    if report is None or report.billed is not None or not report.usage.input_total:
        return report
    return replace(report, billed=Usage(search_units=report.usage.search_units))
