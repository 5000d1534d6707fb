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
        ((PICTURE, Text(text="a"), Text(text="b")), "a\nb"),
        ((Text(text="a\n"), Text(text=""), Text(text="b")), "a\nb"),
        ((Text(text="a "), Text(text="b"), PICTURE, Text(text=" c")), "a b\n c"),
        ((Refusal(text="I will not."),), "I will not."),
    ],
)
def test_texts_stay_apart(parts: tuple[Part, ...], content: str) -> None:
    body, _ = written(Message(role="user", parts=parts))

    assert body["messages"][0]["content"] == content


def test_what_the_model_said_goes_on_where_it_was_cut() -> None:
    body, _ = written(Message(role="assistant", parts=(Text(text="The sky "), Text(text="is blue."))))

    assert body["messages"][0]["content"] == "The sky is blue."


def results_of(*names: str) -> list[Message]:
    given = [ToolResult(tool_call_id=name, parts=(Text(text=name),)) for name in names]
    return [Message(role="tool", parts=(result,)) for result in given]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (("c", "b", "a"), ["a", "b", "c", "Be brief."]),
        (("b", "a"), ["a", "b", "Be brief."]),
        # nobody knows whose the last one is
        (("b", "a", "other"), ["b", "Be brief.", "a", "other"]),
    ],
)
def test_results_stand_behind_their_calls_in_the_order_of_these(given: tuple[str, ...], shown: list[str]) -> None:
    calls = tuple(ToolCall(id=name, name="gauge", arguments="{}") for name in "abc")
    first, *rest = results_of(*given)
    middle = Message(role="system", parts=(Text(text="Be brief."),))
    body, _ = written(Message(role="assistant", parts=calls), first, middle, *rest)

    assert [message["content"] for message in body["messages"][1:]] == shown


def test_pictures_that_tools_found_are_shown_by_a_user() -> None:
    calls = tuple(ToolCall(id=name, name="shot", arguments="{}") for name in "ab")
    seen = Message(role="tool", parts=(ToolResult(tool_call_id="a", parts=(Text(text="here"), PICTURE)),))
    body, _ = written(Message(role="assistant", parts=calls), seen, *results_of("b"))

    _, *rest = body["messages"]
    assert [(message["role"], message["content"], message.get("images")) for message in rest] == [
        ("tool", "here", None),
        ("tool", "b", None),
        ("user", "", ["eA=="]),
    ]


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
