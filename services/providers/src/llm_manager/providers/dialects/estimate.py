"""Counts where the provider gave none: cancelled streams, cut streams, servers without usage (known-failures L-25).

The prompt as a whole and each choice are rounded up; the event says `estimated`, so nobody takes it for a count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from msgspec.structs import replace

from llm_manager.core.estimates import size_of, tokens_of
from llm_manager.core.usage import Usage, UsageReport, UsageSource


@dataclass(slots=True)
class Written:
    """Sizes of an answer, by choice: text (tool calls and refusals included) and reasoning."""

    text: dict[int, int] = field(default_factory=dict[int, int])
    reasoning: dict[int, int] = field(default_factory=dict[int, int])

    def add_text(self, choice: int, text: str) -> None:
        """Count what is visible."""
        self.text[choice] = self.text.get(choice, 0) + size_of(text)

    def add_reasoning(self, choice: int, text: str) -> None:
        """Count reasoning."""
        self.reasoning[choice] = self.reasoning.get(choice, 0) + size_of(text)

    @property
    def characters(self) -> int:
        """All of them together."""
        return sum(self.text.values()) + sum(self.reasoning.values())

    def __bool__(self) -> bool:
        return any(self.text.values()) or any(self.reasoning.values())


def estimated_report(prompt_characters: int, written: Written) -> UsageReport:
    """Return an estimate of an attempt; unknown when nothing was written and there was no prompt."""
    usage = Usage(
        input_uncached=tokens_of(prompt_characters),
        output_text=sum(map(tokens_of, written.text.values())),
        output_reasoning=sum(map(tokens_of, written.reasoning.values())),
    )
    is_known = usage.input_total > 0 or usage.output_total > 0
    return UsageReport(usage, UsageSource.ESTIMATED if is_known else UsageSource.UNKNOWN)


def doubted(report: UsageReport | None, written: Written) -> UsageReport | None:
    """Return a report that counts no output beside a written answer as what it is: no provider's count."""
    if report is None or report.usage.output_total or not written or report.source is not UsageSource.PROVIDER:
        return report
    return replace(report, source=UsageSource.ESTIMATED)


def completed(report: UsageReport, prompt_characters: int, written: Written) -> UsageReport:
    """Return a report with the sides that it leaves out filled by an estimate; a whole one as it is."""
    if report.source is not UsageSource.ESTIMATED:
        return report
    guess = estimated_report(prompt_characters, written).usage
    usage = report.usage
    if not usage.input_total:
        usage = replace(usage, input_uncached=guess.input_uncached)
    if not usage.output_total:
        usage = replace(usage, output_text=guess.output_text, output_reasoning=guess.output_reasoning)
    return replace(report, usage=usage)


# A data URL of a picture is a million characters and a few hundred tokens.
_NOT_TEXT = frozenset({"image_url", "input_audio", "file", "data", "url", "images", "type", "role", "id", "detail"})


def characters_in(value: object) -> int:
    """Return the characters of every text of a JSON value; media, roles and ids are not text."""
    if isinstance(value, str):
        return size_of(value)
    if isinstance(value, Mapping):
        # Any: a JSON document has any shape until it is looked at.
        table = cast("Mapping[str, Any]", value)
        return sum(characters_in(item) for key, item in table.items() if key not in _NOT_TEXT)
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return sum(characters_in(item) for item in cast("Sequence[Any]", value))
    return 0
