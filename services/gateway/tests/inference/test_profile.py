"""What a model cannot do or hold is refused by name, before any provider is asked."""

from __future__ import annotations

import pytest

from llm_manager.core.errors import InvalidRequest, UnsupportedParameter
from llm_manager.core.facts import Capability
from llm_manager.core.messages import ChatInput, Media, Message, ResponseFormat, Text, Tool, ToolResult
from llm_manager.gateway.inference.profile import ModelProfile, check_capabilities, check_size, may_lack

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
                        parts=(
                            ToolResult(tool_call_id="c", content="", media=(Media(data=b"", mime_type="image/png"),)),
                        ),
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
@pytest.mark.parametrize(
    ("profile", "param"),
    [(ModelProfile(context_window=99), "messages"), (ModelProfile(max_output_tokens=49), "max_tokens")],
)
def test_request_that_cannot_fit_is_refused_with_422(profile: ModelProfile, param: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        check_size(profile, model="m", max_tokens=50, prompt_tokens=lambda: 100)
    assert (raised.value.http_status, raised.value.param) == (422, param)


def test_request_that_fits_passes() -> None:
    profile = ModelProfile(context_window=100, max_output_tokens=50)
    assert check_size(profile, model="m", max_tokens=50, prompt_tokens=lambda: 100) is None
    assert check_size(ModelProfile(), model="m", max_tokens=10**9, prompt_tokens=lambda: 10**9) is None
