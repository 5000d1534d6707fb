"""Requests in Anthropic's dialect, in neutral words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llm_manager.core.errors import InvalidRequest, UnsupportedParameter
from llm_manager.core.messages import (
    ChatInput,
    CountTokensInput,
    Media,
    Message,
    Part,
    ResponseFormat,
    Sampling,
    Text,
)
from llm_manager.gateway.ingress.anthropic.translation import chat_input, count_input

Json = dict[str, Any]
HELLO: list[Json] = [{"role": "user", "content": "Hi"}]
PNG, PDF = "iVBORw0KGgo=", "JVBERi0="


def ask(**fields: Any) -> ChatInput:
    return chat_input(json.dumps({"model": "m", "max_tokens": 10, "messages": HELLO, **fields}).encode())


def user(*blocks: Json) -> tuple[Part, ...]:
    (message,) = ask(messages=[{"role": "user", "content": list(blocks)}]).messages
    assert message.role == "user"
    return message.parts


@pytest.mark.requirement("T-13", "S18", "B-15")
def test_a_whole_request_is_exactly_this() -> None:
    chat = ask(
        system=[{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}],
        messages=[*HELLO, {"role": "assistant", "content": "Hello"}, {"role": "user", "content": "Go on"}],
        temperature=0.5,
        top_p=0.9,
        top_k=4,
        stop_sequences=["END", "STOP"],
        metadata={"user_id": "u"},
        stream=True,
        inference_geo="eu",
        speed="standard",
        container=None,
    )
    assert chat == ChatInput(
        messages=(
            Message(role="system", parts=(Text(text="Be kind.", cache_ttl="5m"),)),
            Message(role="user", parts=(Text(text="Hi"),)),
            Message(role="assistant", parts=(Text(text="Hello"),)),
            Message(role="user", parts=(Text(text="Go on"),)),
        ),
        sampling=Sampling(max_tokens=10, temperature=0.5, top_p=0.9, top_k=4, stop=("END", "STOP")),
        extension=b'{"inference_geo":"eu"}',
    )


@pytest.mark.parametrize("system", ["Be kind.", [{"type": "text", "text": "Be kind."}]])
def test_a_system_may_be_text_or_blocks(system: object) -> None:
    assert ask(system=system).messages[0] == Message(role="system", parts=(Text(text="Be kind."),))


@pytest.mark.parametrize("system", ["", [], None])
def test_a_system_that_says_nothing_is_no_message(system: object) -> None:
    assert [message.role for message in ask(system=system).messages] == ["user"]


def test_a_system_turn_may_stand_in_the_conversation() -> None:
    chat = ask(messages=[*HELLO, {"role": "system", "content": "Be brief."}])
    assert chat.messages[1] == Message(role="system", parts=(Text(text="Be brief."),))


THINKING: list[tuple[Json, Sampling]] = [
    ({"type": "enabled", "budget_tokens": 2048}, Sampling(reasoning_budget=2048, shows_reasoning=True)),
    (
        {"type": "enabled", "budget_tokens": 2048, "display": "omitted"},
        Sampling(reasoning_budget=2048, shows_reasoning=False),
    ),
    ({"type": "adaptive"}, Sampling(shows_reasoning=True)),
    ({"type": "adaptive", "display": "omitted"}, Sampling(shows_reasoning=False)),
    ({"type": "disabled"}, Sampling(reasoning_budget=0)),
]


@pytest.mark.parametrize(("thinking", "sampling"), THINKING)
def test_thinking_has_a_budget_and_is_shown_or_not(thinking: Json, sampling: Sampling) -> None:
    asked = ask(thinking=thinking).sampling
    assert (asked.reasoning_budget, asked.shows_reasoning) == (sampling.reasoning_budget, sampling.shows_reasoning)


SCHEMA: Json = {"type": "object", "properties": {"a": {"type": "integer"}}}
FORMAT: Json = {"type": "json_schema", "schema": SCHEMA}


@pytest.mark.parametrize("fields", [{"output_format": FORMAT}, {"output_config": {"format": FORMAT}}])
def test_a_form_of_the_answer_has_an_old_and_a_new_name(fields: Json) -> None:
    form = ask(**fields).response_format
    assert form == ResponseFormat(kind="json_schema", schema=json.dumps(SCHEMA).encode(), is_strict=True)


def test_effort_is_how_hard_to_think() -> None:
    assert ask(output_config={"effort": "high"}).sampling.reasoning_effort == "high"


TIERS = [("auto", b""), (None, b""), ("standard_only", b'{"service_tier":"default"}')]


@pytest.mark.parametrize(("tier", "extension"), TIERS)
def test_a_service_tier_is_said_in_openai_s_words(tier: str | None, extension: bytes) -> None:
    assert ask(service_tier=tier).extension == extension


@pytest.mark.requirement("B-14")
def test_what_neutral_words_do_not_say_travels_as_it_is() -> None:
    servers = [{"type": "url", "url": "https://example.com", "name": "s"}]
    assert json.loads(ask(mcp_servers=servers, something_new=1).extension) == {
        "mcp_servers": servers,
        "something_new": 1,
    }


KEPT: Json = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
BLOCKS: list[tuple[Json, tuple[Part, ...]]] = [
    ({"type": "text", "text": "Hi", **KEPT}, (Text(text="Hi", cache_ttl="1h"),)),
    (
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}, **KEPT},
        (Media(mime_type="image/png", data=b"\x89PNG\r\n\x1a\n", cache_ttl="1h"),),
    ),
    (
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a"}},
        (Media(url="https://example.com/a"),),
    ),
    (
        {"type": "image", "source": {"type": "file", "file_id": "f1"}},
        (Media(mime_type="image/*", file_id="f1"),),
    ),
    (
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
            "title": "a.pdf",
            "context": "From 2020.",
            "citations": {"enabled": False},
            **KEPT,
        },
        (
            Text(text="From 2020."),
            Media(mime_type="application/pdf", data=b"%PDF-", filename="a.pdf", cache_ttl="1h"),
        ),
    ),
    (
        {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}, "citations": None},
        (Media(mime_type="application/pdf", url="https://example.com/a.pdf"),),
    ),
    (
        {"type": "document", "source": {"type": "file", "file_id": "f1"}},
        (Media(mime_type="application/pdf", file_id="f1"),),
    ),
    (
        {"type": "document", "source": {"type": "text", "data": "Body", "media_type": "text/plain"}, "title": "T"},
        (Text(text="T\nBody"),),
    ),
    (
        {"type": "document", "source": {"type": "content", "content": "Body"}, "context": "C"},
        (Text(text="C"), Text(text="Body")),
    ),
    (
        {
            "type": "document",
            "source": {
                "type": "content",
                "content": [
                    {"type": "text", "text": "Body"},
                    {"type": "image", "source": {"type": "url", "url": "https://example.com/a"}},
                ],
            },
        },
        (Text(text="Body"), Media(url="https://example.com/a")),
    ),
    (
        {
            "type": "search_result",
            "title": "T",
            "source": "https://example.com",
            "content": [{"type": "text", "text": "found "}, {"type": "text", "text": "it"}],
            **KEPT,
        },
        (Text(text="T\nhttps://example.com\nfound it", cache_ttl="1h"),),
    ),
]


@pytest.mark.parametrize(("block", "parts"), BLOCKS, ids=[f"{n}-{item[0]['type']}" for n, item in enumerate(BLOCKS)])
def test_what_a_user_shows_is_told_whole(block: Json, parts: tuple[Part, ...]) -> None:
    assert user(block) == parts


@pytest.mark.requirement("L-7")
def test_the_request_s_own_hint_stands_on_the_last_part_that_has_none() -> None:
    chat = ask(
        cache_control={"type": "ephemeral"},
        messages=[
            {"role": "user", "content": "One"},
            {"role": "user", "content": [{"type": "text", "text": "Two"}, {"type": "text", "text": "Three"}]},
        ],
    )
    assert [message.parts for message in chat.messages] == [
        (Text(text="One"),),
        (Text(text="Two"), Text(text="Three", cache_ttl="5m")),
    ]
    longer = ask(cache_control={"type": "ephemeral"}, messages=[{"role": "user", "content": [BLOCKS[0][0]]}])
    assert longer.messages[0].parts == (Text(text="Hi", cache_ttl="1h"),)


def test_a_prompt_is_counted_without_a_limit_of_the_answer() -> None:
    body = json.dumps({"model": "m", "messages": HELLO, "system": "Be kind."}).encode()
    assert count_input(body) == CountTokensInput(
        chat=ChatInput(
            messages=(
                Message(role="system", parts=(Text(text="Be kind."),)),
                Message(role="user", parts=(Text(text="Hi"),)),
            )
        )
    )


def said(*blocks: Json) -> Json:
    return {"messages": [{"role": "user", "content": list(blocks)}]}


CITED: Json = {"citations": {"enabled": True}}
URL: Json = {"type": "url", "url": "https://example.com"}
REFUSED: list[tuple[Json, str]] = [
    ({"thinking": {"type": "between_tools"}}, "thinking.type"),
    ({"output_config": {"task_budget": {"type": "tokens"}}}, "output_config.task_budget"),
    (said({"type": "container_upload", "file_id": "f"}), "messages[0].content[0].type"),
    (said({"type": "text", "text": "Hi", "new": 1}), "messages[0].content[0].new"),
    (said({"type": "document", "source": URL, **CITED}), "messages[0].content[0].citations"),
    (
        said({"type": "search_result", "title": "T", "source": "s", "content": [], **CITED}),
        "messages[0].content[0].citations",
    ),
    (
        said({"type": "document", "source": {"type": "content", "content": [{"type": "document", "source": URL}]}}),
        "messages[0].content[0].source.content[0].type",
    ),
    ({"system": [{"type": "image", "source": URL}]}, "system[0].type"),
]


@pytest.mark.requirement("P-18", "B-14")
@pytest.mark.parametrize(("fields", "param"), REFUSED, ids=[param for _, param in REFUSED])
def test_what_has_no_neutral_words_is_refused_by_its_name(fields: Json, param: str) -> None:
    with pytest.raises(UnsupportedParameter) as refusal:
        ask(**fields)
    assert refusal.value.param == param


WRONG: list[tuple[Json, str]] = [
    ({"messages": []}, "messages"),
    ({"messages": [{"role": "user", "content": ""}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": []}]}, "messages[0].content"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"messages": [{"role": "robot", "content": "Hi"}]}, "messages[0].role"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_tokens": "ten"}, "max_tokens"),
    ({"temperature": 3}, "temperature"),
    ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
    ({"output_format": FORMAT, "output_config": {"format": FORMAT}}, "output_format"),
    ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
    (said({"text": "Hi"}), "messages[0].content[0].type"),
    ({"messages": [{"role": "assistant", "content": [{"text": "Hi"}]}]}, "messages[0].content[0].type"),
    (said({"type": "text"}), "messages[0].content[0].text"),
    (
        said({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "!"}}),
        "messages[0].content[0].source.data",
    ),
    ({"cache_control": {"type": "ephemeral", "ttl": "2h"}}, "cache_control.ttl"),
]


@pytest.mark.parametrize(("fields", "param"), WRONG, ids=[f"{n}-{item[1]}" for n, item in enumerate(WRONG)])
def test_what_is_wrong_is_named(fields: Json, param: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        ask(**fields)
    assert (refusal.value.code, refusal.value.param, refusal.value.http_status) == ("invalid_request", param, 400)


@pytest.mark.parametrize("missing", ["max_tokens", "messages"])
def test_what_is_missing_is_named(missing: str) -> None:
    body = {"model": "m", "max_tokens": 10, "messages": HELLO}
    del body[missing]
    with pytest.raises(InvalidRequest, match=f"{missing} is missing") as refusal:
        chat_input(json.dumps(body).encode())
    assert refusal.value.param == missing
