"""What a model cannot do or hold is refused by name, before any provider is asked."""

from __future__ import annotations

import pytest

from llm_manager.core.errors import ContextLengthExceeded, InvalidRequest, UnsupportedParameter
from llm_manager.core.facts import load_facts
from llm_manager.core.families import Capability
from llm_manager.core.messages import ChatInput, Media, Message, ResponseFormat, Text, Tool, ToolResult
from llm_manager.gateway.inference.profile import (
    ModelProfile,
    check_capabilities,
    check_output,
    check_prompt,
    max_tokens_in,
    may_lack,
)

ALL: frozenset[Capability] = frozenset(
    {"streaming", "tools", "images", "audio", "documents", "json_object", "json_schema"}
)


def chat_with(*media: Media, **fields: object) -> ChatInput:
    parts = (Text(text="look"), *media)
    return ChatInput(messages=(Message(role="user", parts=parts),), **fields)  # pyright: ignore[reportArgumentType] # named in the test


@pytest.mark.requirement("S6", "P-18")
@pytest.mark.parametrize(
    ("chat", "capability", "param"),
    [
        (chat_with(tools=(Tool(name="f"),)), "tools", "tools"),
        (chat_with(response_format=ResponseFormat(kind="json_object")), "json_object", "response_format"),
        (chat_with(response_format=ResponseFormat(kind="json_schema")), "json_schema", "response_format"),
        (chat_with(Media(data=b"x", mime_type="image/png")), "images", "messages[0]"),
        (chat_with(Media(url="https://example.org/cat")), "images", "messages[0]"),
        (chat_with(Media(data=b"x", mime_type="audio/wav")), "audio", "messages[0]"),
        (chat_with(Media(file_id="file-1")), "documents", "messages[0]"),
        (chat_with(), "streaming", "stream"),
        (
            ChatInput(
                messages=(
                    Message(role="user", parts=(Text(text="a"),)),
                    Message(
                        role="tool",
                        parts=(ToolResult(tool_call_id="c", parts=(Media(data=b"", mime_type="image/png"),)),),
                    ),
                )
            ),
            "images",
            "messages[1]",
        ),
    ],
)
def test_chat_that_needs_what_the_model_lacks_is_refused_by_name(
    chat: ChatInput, capability: Capability, param: str
) -> None:
    check_capabilities(chat, ALL, model="m", is_stream=True)
    with pytest.raises(UnsupportedParameter, match="'m'") as raised:
        check_capabilities(chat, ALL - {capability}, model="m", is_stream=True)
    assert raised.value.param == param


def test_only_bodies_that_may_need_what_is_lacking_are_looked_into() -> None:
    body = b'{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}]}'
    assert may_lack(body, ALL - {"images"})
    assert not may_lack(body, ALL - {"audio"})
    assert not may_lack(body, ALL)


@pytest.mark.requirement("S15")
def test_prompt_that_is_certainly_too_long_is_refused() -> None:
    profile = ModelProfile(context_window=100)
    with pytest.raises(ContextLengthExceeded, match=r"more than 101 tokens and the model 'm' takes 100") as raised:
        check_prompt(profile, model="m", size=700, characters=lambda: 606)
    assert (raised.value.http_status, raised.value.code, raised.value.param) == (
        400,
        "context_length_exceeded",
        "messages",
    )
    # what may just fit is for the provider to judge
    check_prompt(profile, model="m", size=700, characters=lambda: 605)
    check_prompt(ModelProfile(), model="m", size=10**9, characters=lambda: 10**9)


def test_characters_are_counted_only_where_the_size_of_the_request_leaves_it_open() -> None:
    def count() -> int:
        raise AssertionError("counted")

    check_prompt(ModelProfile(context_window=100), model="m", size=600, characters=count)


@pytest.mark.requirement("S15")
def test_more_tokens_than_the_model_writes_are_refused() -> None:
    profile = ModelProfile(max_output_tokens=49)
    with pytest.raises(InvalidRequest, match="writes at most 49") as raised:
        check_output(profile, model="m", max_tokens=50)
    assert (raised.value.http_status, raised.value.param) == (400, "max_tokens")
    check_output(profile, model="m", max_tokens=49)
    check_output(profile, model="m", max_tokens=None)
    check_output(ModelProfile(), model="m", max_tokens=10**9)


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        (b'{"max_tokens":5}', 5),
        (b'{"max_completion_tokens":7,"max_tokens":5}', 7),
        (b'{"messages":[{"max_tokens":9}]}', None),
        (b'{"max_tokens":"many"}', None),
        (b'{"max_tokens":null}', None),
        (b"[1]", None),
        (b'{"max_tokens":', None),
        (b'{"a":"\xff"}', None),
    ],
)
def test_largest_number_of_tokens_is_read_from_a_body(body: bytes, tokens: int | None) -> None:
    assert max_tokens_in(body) == tokens


def test_facts_know_families_and_what_a_person_says_counts_more() -> None:
    facts = load_facts()["openai"]
    told = ModelProfile.told_by(facts, "gpt-3.5-turbo-0125")
    assert told.capabilities is not None
    assert {"images", "json_schema"} & told.capabilities == set()
    assert (told.context_window, told.max_output_tokens) == (16_385, 4_096)
    assert ModelProfile.told_by(facts, "gpt-99") == ModelProfile(frozenset(facts.capabilities))
    said = ModelProfile(frozenset({"images"}), max_output_tokens=9)
    assert said.over(told) == ModelProfile(frozenset({"images"}), 16_385, 9)
    # somebody else's server may call a model of its own by a name of OpenAI's
    assert ModelProfile.told_by(facts.at("https://example.org/v1"), "gpt-3.5-turbo").context_window is None
