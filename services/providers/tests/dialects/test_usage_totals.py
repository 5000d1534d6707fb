"""Every recorded answer: the total that a provider says is the sum of what we count."""

from __future__ import annotations

import msgspec
import pytest

from llm_manager.core.facts import load_facts
from llm_manager.core.usage import Usage, UsageSource
from llm_manager.providers.dialects.numbers import whole_number
from llm_manager.providers.dialects.pointers import find
from llm_manager.providers.dialects.port import AnswerReader
from llm_manager.providers.dialects.registry import dialects_of
from llm_manager.testing.recordings import Recording, load, why_absent

pytestmark = pytest.mark.skipif(why_absent() is not None, reason=why_absent() or "")

PROVIDERS = ("openai", "anthropic", "gemini", "groq", "mistral", "cohere", "together", "ollama", "openai_compatible")
_TOTALS = ("total_tokens", "totalTokenCount")
# Where the total is not the sum, and why ours is right.
EXCEPTIONS: dict[str, str] = {}
CHATS = [
    recording
    for recording in load(providers=PROVIDERS, operations=("chat",))
    if recording.status == 200 and any(total.encode() in recording.body for total in _TOTALS)
]


def reader_of(recording: Recording) -> AnswerReader:
    kind = "custom" if recording.provider == "openai_compatible" else recording.provider
    facts = load_facts()[kind]
    dialect = dialects_of(facts, make_id=lambda: "made-up")[facts.dialect]
    return dialect.chat_reader(is_stream=recording.is_stream)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType] (every main dialect chats)


@pytest.mark.parametrize("recording", CHATS, ids=lambda recording: recording.id)
def test_total_that_is_said_is_the_total_that_is_counted(recording: Recording) -> None:
    reader = reader_of(recording)
    reader.feed(recording.body)
    reader.finish()
    report = reader.usage()

    if report is None or not report.raw:
        return
    total = whole_number(find(msgspec.json.decode(report.raw), _TOTALS))
    if total is None or report.source is not UsageSource.PROVIDER:
        return
    counted = report.usage.input_total + report.usage.output_total
    assert (counted == total) is (recording.id not in EXCEPTIONS), f"said {total}, counted {counted}: {report.raw!r}"


def test_audio_beside_the_prompt_is_counted() -> None:
    recording = next(recording for recording in CHATS if recording.id == "mistral-chat-7d0d965721")
    reader = reader_of(recording)
    reader.feed(recording.body)
    reader.finish()

    report = reader.usage()
    assert report is not None
    assert report.usage == Usage(input_uncached=9, input_audio=375, output_text=201)
