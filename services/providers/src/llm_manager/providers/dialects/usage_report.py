"""Usage in disjoint buckets, read from a provider's report by the pointers of its facts."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from llm_manager.core.facts import UsagePointers
from llm_manager.core.usage import Usage, UsageReport, UsageSource
from llm_manager.providers.dialects.numbers import usd_text
from llm_manager.providers.dialects.pointers import EXACT_DECODER, find, find_count, is_odd_count


def read_report(
    pointers: UsagePointers, raw: bytes, *, answer: bytes = b"", has_output: bool = True
) -> UsageReport | None:
    """Return the counts of one report, None when it holds none.

    A report that leaves out one side (Ollama omits the prompt when it was cached; recordings, quirk 16) has the source
    `estimated` and zero on that side: absent is not zero, so the caller completes it. A number that can be no count
    is the same as none.

    Args:
        raw: the report as it stood in the answer; kept byte for byte, unknown keys included (known-failures P-10).
        answer: the document around it, where the facts look for the cost.
        has_output: False where there is no output to count, as for embeddings.
    """
    try:
        report = EXACT_DECODER.decode(raw)
    except msgspec.DecodeError:
        return None
    input_total = find_count(report, pointers.input)
    output_total = find_count(report, pointers.output)
    units = find_count(report, pointers.search_units)
    if input_total is None and output_total is None and units is None:
        return None
    is_whole = units is not None or (input_total is not None and (output_total is not None or not has_output))
    usage = _buckets(pointers, report, input_total or 0, output_total or 0) + Usage(search_units=units or 0)
    # No prompt is empty: zero beside an answer, or all alone, is a placeholder (diegosouzapw/OmniRoute#4615).
    is_whole = is_whole and (units is not None or usage.input_total > 0) and not _holds_odd_counts(pointers, report)
    source = UsageSource.PROVIDER if is_whole else UsageSource.ESTIMATED
    billed = _billed(pointers, report, usage)
    return UsageReport(usage, source, raw, _cost(pointers, answer), billed)


def counts_nothing(pointers: UsagePointers, raw: bytes) -> bool:
    """Return whether a report is a placeholder: it must not replace one that counts something."""
    report = read_report(pointers, raw)
    return report is None or report.usage == Usage()


def _holds_odd_counts(pointers: UsagePointers, report: object) -> bool:
    sums = (pointers.input, pointers.output, pointers.search_units)
    parts = [(pointer,) for pointer in (*pointers.beside_input, *pointers.beside_output)]
    return any(is_odd_count(report, where) for where in (*sums, *parts))


def _billed(pointers: UsagePointers, report: object, usage: Usage) -> Usage | None:
    input_billed, output_billed = (
        find_count(report, pointers.billed_input),
        find_count(report, pointers.billed_output),
    )
    if input_billed is None and output_billed is None:
        return None
    return Usage(input_uncached=input_billed or 0, output_text=output_billed or 0, search_units=usage.search_units)


def _buckets(pointers: UsagePointers, report: object, input_total: int, output_total: int) -> Usage:
    said_total = find_count(report, pointers.total)
    beside_input = sum(find_count(report, (pointer,)) or 0 for pointer in pointers.beside_input)
    if said_total != input_total + output_total:
        input_total += beside_input
    reasoning = find_count(report, pointers.reasoning) or 0
    beside = sum(find_count(report, (pointer,)) or 0 for pointer in pointers.beside_output)
    if beside and said_total != input_total + output_total:
        output_total += beside
    cache_read, cache_write, audio, image, uncached = _share(
        input_total,
        (pointers.cache_read, pointers.cache_write, pointers.input_audio, pointers.input_image),
        report,
    )
    cache_write_1h = min(find_count(report, pointers.cache_write_1h) or 0, cache_write)
    if not beside and reasoning and said_total == input_total + output_total + reasoning:
        # The provider's own total says that reasoning is not part of the output count (xAI, recordings -2b4e8f7811).
        output_total += reasoning
    rest = (said_total or 0) - input_total - output_total
    if pointers.rest_is_reasoning and rest > 0:
        output_total, reasoning = output_total + rest, reasoning + rest
    reasoning = min(reasoning, output_total)
    output_audio, output_image, text = _share(
        output_total - reasoning, (pointers.output_audio, pointers.output_image), report
    )
    return Usage(
        input_uncached=uncached,
        cache_read=cache_read,
        cache_write_5m=cache_write - cache_write_1h,
        cache_write_1h=cache_write_1h,
        input_audio=audio,
        input_image=image,
        output_text=text,
        output_reasoning=reasoning,
        output_audio=output_audio,
        output_image=output_image,
    )


def _share(total: int, details: Iterable[tuple[str, ...]], report: object) -> tuple[int, ...]:
    """Split a total into its details and the rest. Details may overlap (cached audio), the buckets may not."""
    parts: list[int] = []
    for pointer in details:
        part = min(find_count(report, pointer) or 0, total)
        parts.append(part)
        total -= part
    return (*parts, total)


def _cost(pointers: UsagePointers, answer: bytes) -> str | None:
    if not pointers.cost or not answer:
        return None
    if not any(pointer.rpartition(".")[2].encode() in answer for pointer in pointers.cost):
        # Reading every number of an embedding as a Decimal, for a cost that is not there, took 0.25 ms (2026-11-28).
        return None
    document = EXACT_DECODER.decode(answer)
    for pointer in pointers.cost:
        amount = usd_text(find(document, (pointer,)), unit=pointers.cost_unit)
        if amount is not None:
            return amount
    return None
