"""What stands in the parts of a conversation and not every dialect has a word for: it is met here, never dropped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from llm_manager.core.facts import Facts
from llm_manager.core.messages import Media, Message, Text, ToolResult
from llm_manager.providers.dialects.parameters import is_harmless
from llm_manager.providers.dialects.policy import Policy


def media_in(messages: Sequence[Message]) -> Iterator[Media]:
    """Yield the media of a conversation in order, those that tools found among them."""
    for message in messages:
        for part in message.parts:
            if isinstance(part, Media):
                yield part
            elif isinstance(part, ToolResult):
                yield from part.media


def given_by(result: ToolResult) -> Sequence[Text | Media]:
    """Return what a tool gave, for dialects that have no mark for a failure: there the text says it."""
    if not result.is_error:
        return [part for part in result.parts if not isinstance(part, Text) or part.text]
    return [Text(text=text_given_by(result)), *result.media]


def text_given_by(result: ToolResult) -> str:
    """Return the same as one text, for dialects whose results are text."""
    return msgspec.json.encode({"error": result.text}).decode() if result.is_error else result.text


def without_names(messages: Sequence[Message], policy: Policy) -> None:
    """Say that who speaks was left out, where a dialect has no place for it."""
    if any(message.name for message in messages):
        policy.left_out("name")


def without_detail(facts: Facts, media: Iterable[Media], policy: Policy) -> None:
    """Say that how closely to look at media was left out, where the provider does something else unasked."""
    if any(medium.detail and not is_harmless(facts, "detail", medium.detail) for medium in media):
        policy.left_out("detail")
