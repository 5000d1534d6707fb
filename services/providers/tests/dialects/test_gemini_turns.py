"""Turns of a conversation as Gemini's dialect writes them: media, tool results, signatures."""

from __future__ import annotations

import json
from typing import Any  # JSON bodies

import pytest

from llm_manager.core.errors import InvalidRequest
from llm_manager.core.facts import load_facts
from llm_manager.core.messages import ChatInput, Media, Message, OpaqueBlock, Text, ToolCall, ToolResult
from llm_manager.providers.dialects.gemini_generate.dialect import GeminiGenerate
from llm_manager.providers.dialects.policy import Policy

DIALECT = GeminiGenerate(load_facts()["gemini"], new_id=str)
Json = dict[str, Any]
HELLO = Message(role="user", parts=(Text(text="Hello"),))
OLD, NEW = "gemini-2.5-flash", "gemini-3-pro-preview"


def contents_of(*messages: Message, model: str = OLD) -> list[Json]:
    call = DIALECT.chat(ChatInput(messages=messages), model=model, is_stream=False, policy=Policy())
    return json.loads(call.body)["contents"]


@pytest.mark.parametrize(
    ("media", "part"),
    [
        (
            Media(url="data:image/png;base64,aGk="),
            {"inlineData": {"mimeType": "image/png", "data": "aGk="}},
        ),
        (
            Media(data=b"hi", filename="a.bin"),
            {"inlineData": {"mimeType": "application/octet-stream", "data": "aGk="}},
        ),
        (
            Media(url="https://example.com/a.jpg?x=1"),
            {"fileData": {"fileUri": "https://example.com/a.jpg?x=1", "mimeType": "image/jpeg"}},
        ),
        (
            Media(url="https://youtu.be/x", mime_type="video/mp4"),
            {"fileData": {"fileUri": "https://youtu.be/x", "mimeType": "video/mp4"}},
        ),
        (
            Media(file_id="files/abc", mime_type="application/pdf"),
            {
                "fileData": {
                    "fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc",
                    "mimeType": "application/pdf",
                }
            },
        ),
        (Media(file_id="gs://bucket/a"), {"fileData": {"fileUri": "gs://bucket/a"}}),
    ],
)
def test_media_are_sent_inside_or_by_their_address(media: Media, part: Json) -> None:
    assert contents_of(Message(role="user", parts=(media,))) == [{"role": "user", "parts": [part]}]


def call_and_result(
    content: str = "ok", *, is_error: bool = False, media: tuple[Media, ...] = ()
) -> tuple[Message, Message]:
    result = ToolResult(tool_call_id="c1", parts=(Text(text=content), *media), is_error=is_error)
    return (
        Message(role="assistant", parts=(ToolCall(id="c1", name="f", arguments=""),)),
        Message(role="user", parts=(result, Text(text="and"))),
    )


@pytest.mark.parametrize(
    ("content", "is_error", "response"),
    [
        ("plain", False, {"result": "plain"}),
        ("[1, 2]", False, {"result": "[1, 2]"}),
        ('{"big": 12345678901234567890}', False, {"big": 12345678901234567890}),
        ("it broke", True, {"error": "it broke"}),
        ('{"code": 7}', True, {"error": {"code": 7}}),
        ("", False, {"result": ""}),
        # Gemini reads these two words alone where it finds them
        ('{"output": "x"}', False, {"output": "x"}),
        ('{"error": null, "rows": [1]}', False, {"output": {"error": None, "rows": [1]}}),
        ('{"output": "x", "exit": 1}', True, {"error": {"output": "x", "exit": 1}}),
    ],
)
def test_result_of_a_tool_is_an_object(content: str, is_error: bool, response: Json) -> None:
    written = contents_of(*call_and_result(content, is_error=is_error))

    assert written[1] == {
        "role": "user",
        "parts": [{"functionResponse": {"id": "c1", "name": "f", "response": response}}],
    }


@pytest.mark.parametrize("model", [OLD, NEW])
def test_what_is_said_beside_results_stands_in_contents_of_its_own(model: str) -> None:
    _, results, said = contents_of(*call_and_result(), model=model)

    assert [part.keys() for part in results["parts"]] == [{"functionResponse"}]
    assert said == {"role": "user", "parts": [{"text": "and"}]}


def test_what_only_the_system_says_is_the_user_s() -> None:
    system = Message(role="system", parts=(Text(text="Say "), Text(text="something.")))
    call = DIALECT.chat(ChatInput(messages=(system,)), model=OLD, is_stream=False, policy=Policy())

    assert json.loads(call.body) == {
        "contents": [{"role": "user", "parts": [{"text": "Say "}, {"text": "something."}]}]
    }


def test_media_in_a_result_stand_inside_or_beside_it_by_the_model_s_generation() -> None:
    messages = call_and_result(media=(Media(mime_type="image/png", data=b"hi"),))
    picture = {"inlineData": {"mimeType": "image/png", "data": "aGk="}}
    response = {"id": "c1", "name": "f", "response": {"result": "ok"}}

    assert [content["parts"] for content in contents_of(*messages)[1:]] == [
        [{"functionResponse": response}],
        [picture],
        [{"text": "and"}],
    ]
    assert [content["parts"] for content in contents_of(*messages, model=NEW)[1:]] == [
        [{"functionResponse": {**response, "parts": [picture]}}],
        [{"text": "and"}],
    ]


def test_result_without_its_call_goes_by_the_name_that_the_client_gave() -> None:
    named = Message(role="tool", parts=(ToolResult(tool_call_id="c9", parts=(Text(text="ok"),), name="f"),))

    assert contents_of(HELLO, named)[1]["parts"] == [
        {"functionResponse": {"id": "c9", "name": "f", "response": {"result": "ok"}}}
    ]
    with pytest.raises(InvalidRequest, match="c9"):
        contents_of(HELLO, Message(role="tool", parts=(ToolResult(tool_call_id="c9", parts=(Text(text="ok"),)),)))


def test_calls_without_a_signature_say_so_to_models_that_demand_one() -> None:
    turn = Message(
        role="assistant",
        parts=(ToolCall(id="c1", name="f", arguments="{}"), ToolCall(id="c2", name="f", arguments="null")),
    )
    first: Json = {"functionCall": {"id": "c1", "name": "f", "args": {}}}
    second: Json = {"functionCall": {"id": "c2", "name": "f", "args": {}}}

    assert contents_of(turn, model=OLD)[0]["parts"] == [first, second]
    assert contents_of(turn, model=NEW)[0]["parts"] == [
        {**first, "thoughtSignature": "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I="},
        second,
    ]


@pytest.mark.requirement("B-17", "T-14")
def test_results_of_a_signed_turn_are_matched_to_calls_that_had_no_id() -> None:
    signed = [
        OpaqueBlock(dialect="gemini_generate", json=b'{"functionCall":{"name":"f","args":{}},"thoughtSignature":"s="}'),
        OpaqueBlock(dialect="gemini_generate", json=b'{"functionCall": {"name": "g", "id": "own"}}'),
    ]
    told = (ToolCall(id="made-up-1", name="f", arguments="{}"), ToolCall(id="own", name="g", arguments="{}"))
    results = (
        ToolResult(tool_call_id="own", parts=(Text(text="second"),)),
        ToolResult(tool_call_id="made-up-1", parts=(Text(text="first"),)),
    )
    call = DIALECT.chat(
        ChatInput(
            messages=(
                Message(role="assistant", parts=(*told, *signed)),
                Message(role="tool", parts=results[:1]),
                Message(role="tool", parts=results[1:]),
            )
        ),
        model=NEW,
        is_stream=False,
        policy=Policy(),
    )

    assert json.loads(call.body)["contents"][1]["parts"] == [
        {"functionResponse": {"name": "f", "response": {"result": "first"}}},
        {"functionResponse": {"id": "own", "name": "g", "response": {"result": "second"}}},
    ]
    for block in signed:
        assert block.json in call.body
