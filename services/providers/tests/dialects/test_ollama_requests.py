"""What Ollama's form has no place for is said beside it or in the text; nothing is lost, and nothing is mixed up."""

from __future__ import annotations

import json
from typing import Any

import pytest
from dialects import main_dialect

from llm_manager.core.facts import load_facts
from llm_manager.core.messages import (
    ChatInput,
    Media,
    Message,
    Part,
    Refusal,
    ResponseFormat,
    Text,
    ToolCall,
    ToolResult,
)
from llm_manager.providers.dialects.ollama_chat.dialect import OllamaChat
from llm_manager.providers.dialects.parameters import adapted
from llm_manager.providers.dialects.policy import Policy

PICTURE = Media(mime_type="image/png", data=b"x")


def written(
    *messages: Message, form: ResponseFormat | None = None, adapts: bool = False
) -> tuple[dict[str, Any], list[str]]:
    policy = Policy(adapts=adapts)
    chat = ChatInput(messages=messages, response_format=form)
    call = main_dialect("ollama").chat(chat, model="m", is_stream=False, policy=policy)
    return json.loads(call.body), policy.warnings


@pytest.mark.parametrize(
    ("parts", "content"),
    [
        ((Text(text="left"), PICTURE, Text(text="right")), "left\nright"),
        ((PICTURE, Text(text="a"), Text(text="b")), "ab"),
        ((Refusal(text="I will not."),), "I will not."),
    ],
)
def test_texts_stay_apart_where_a_picture_stood_between_them(parts: tuple[Part, ...], content: str) -> None:
    body, _ = written(Message(role="user", parts=parts))

    assert body["messages"][0]["content"] == content


def test_id_that_is_used_again_names_the_tool_of_its_own_turn() -> None:
    def turn(name: str) -> tuple[Message, Message]:
        call = ToolCall(id="call_0", name=name, arguments="{}")
        return (
            Message(role="assistant", parts=(call,)),
            Message(role="tool", parts=(ToolResult(tool_call_id="call_0", parts=(Text(text=name),)),)),
        )

    body, _ = written(*turn("gauge"), *turn("weir"))

    assert [message["tool_name"] for message in body["messages"] if message["role"] == "tool"] == ["gauge", "weir"]


@pytest.mark.parametrize("arguments", ["[1]", '"x"', "5", '{"cut'])
def test_arguments_that_are_no_object_are_not_lost(arguments: str) -> None:
    body, _ = written(Message(role="assistant", parts=(ToolCall(id="c", name="f", arguments=arguments),)))

    assert body["messages"][0]["tool_calls"][0]["function"]["arguments"] == {"text": arguments}


def test_what_is_left_out_is_said() -> None:
    picture = Media(mime_type="image/png", data=b"x", detail="low")
    form = ResponseFormat(kind="json_schema", name="a", schema=b"{}", is_strict=False)
    _, warnings = written(Message(role="user", parts=(picture,)), form=form, adapts=True)

    assert sorted(warnings) == ["left out detail", "left out strict of response_format"]


def test_logprobs_keep_every_digit() -> None:
    reader = OllamaChat(load_facts()["ollama"], new_id=lambda: "x").chat_reader(is_stream=True)
    line = b'{"message":{"content":"a"},"logprobs":[{"token":"a","logprob":-0.12345678901234567890123}]}\n'

    assert b"-0.12345678901234567890123" in reader.feed(line).deltas[-1].json  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] (the last is of log probabilities)


@pytest.mark.parametrize(("name", "value"), [("response_format", {"type": "text"}), ("modalities", ["text"])])
def test_what_asks_for_nothing_passes_everywhere(name: str, value: object) -> None:
    for facts in load_facts().values():
        policy = Policy()

        assert adapted(facts, {name: value}, unsupported=(name,), policy=policy) == {}
        assert policy.warnings == []
