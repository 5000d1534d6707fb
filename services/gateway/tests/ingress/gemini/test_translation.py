"""Requests in Gemini's dialect as neutral words."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from llm_manager.core.messages import (
    ChatInput,
    Media,
    Message,
    OpaqueBlock,
    Part,
    Reasoning,
    Role,
    Sampling,
    Text,
    ToolCall,
    ToolResult,
)
from llm_manager.gateway.ingress.gemini.signatures import signature_of
from llm_manager.gateway.ingress.gemini.translation import chat_input, count_input
from llm_manager.gateway.ingress.opaque import is_carried_in

Json = dict[str, Any]
PNG = b"\x89PNG\xfb\xff"
PNG_TEXT = base64.b64encode(PNG).decode()
HELLO: Json = {"role": "user", "parts": [{"text": "Hi"}]}


def _read(**members: Any) -> ChatInput:
    return chat_input(json.dumps({"contents": [HELLO], **members}).encode())


def _turns(*contents: Json) -> tuple[Message, ...]:
    return _read(contents=list(contents)).messages


def _says(role: Role, *parts: Part) -> Message:
    return Message(role=role, parts=parts)


def _user(*parts: Json) -> Json:
    return {"role": "user", "parts": list(parts)}


def _model(*parts: Json) -> Json:
    return {"role": "model", "parts": list(parts)}


def _blocks(*parts: Json) -> tuple[OpaqueBlock, ...]:
    return tuple(OpaqueBlock(dialect="gemini_generate", json=json.dumps(part).encode()) for part in parts)


@pytest.mark.requirement("S23")
def test_a_plain_prompt_is_one_message_of_the_user() -> None:
    assert _read() == ChatInput(messages=(_says("user", Text(text="Hi")),))


def test_instructions_come_first_and_may_have_several_parts() -> None:
    instructions = {"role": "ignored", "parts": [{"text": "Be brief."}, {"text": ""}, {"text": "Be kind."}]}
    assert _read(systemInstruction=instructions).messages == (
        _says("system", Text(text="Be brief."), Text(text="Be kind.")),
        _says("user", Text(text="Hi")),
    )


def test_one_object_stands_for_a_list_of_one_and_an_absent_role_for_the_user() -> None:
    body = {"system_instruction": {"parts": {"text": "S"}}, "contents": {"parts": {"text": "U"}}}
    assert chat_input(json.dumps(body).encode()).messages == (
        _says("system", Text(text="S")),
        _says("user", Text(text="U")),
    )


@pytest.mark.requirement("B-14", "B-15", "P-18")
def test_every_parameter_of_generation_has_its_neutral_word() -> None:
    config = {
        "maxOutputTokens": 100,
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 40.0,
        "presencePenalty": 0.1,
        "frequencyPenalty": -0.2,
        "seed": 9007199254740993,
        "stopSequences": ["END", "\n"],
        "candidateCount": 2,
        "responseLogprobs": True,
        "logprobs": 3,
        "thinkingConfig": {"includeThoughts": True, "thinkingBudget": 512},
    }
    assert _read(generationConfig=config).sampling == Sampling(
        max_tokens=100,
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        presence_penalty=0.1,
        frequency_penalty=-0.2,
        seed=9007199254740993,
        stop=("END", "\n"),
        n=2,
        logprobs=True,
        top_logprobs=3,
        reasoning_budget=512,
        shows_reasoning=True,
    )


@pytest.mark.requirement("B-15")
def test_snake_case_and_numbers_as_texts_mean_the_same() -> None:
    config = {
        "max_output_tokens": "100",
        "top_k": "40",
        "stop_sequences": ["END"],
        "candidate_count": 1,
        "seed": "7",
        "thinking_config": {"thinking_level": "HIGH", "include_thoughts": False},
        "response_mime_type": None,
    }
    chat = _read(generation_config=config, safety_settings=None, model="models/other")
    assert chat == ChatInput(
        messages=(_says("user", Text(text="Hi")),),
        sampling=Sampling(
            max_tokens=100, top_k=40, stop=("END",), seed=7, reasoning_effort="high", shows_reasoning=False
        ),
    )


@pytest.mark.parametrize(
    ("thinking", "expected"),
    [
        ({"thinkingBudget": 0}, Sampling(reasoning_budget=0)),
        ({"thinkingBudget": -1}, Sampling()),
        ({"thinkingLevel": "minimal"}, Sampling(reasoning_effort="minimal")),
        ({"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"}, Sampling()),
    ],
)
def test_thinking_is_said_in_neutral_words(thinking: Json, expected: Sampling) -> None:
    assert _read(generationConfig={"thinkingConfig": thinking}).sampling == expected


@pytest.mark.parametrize(
    ("part", "media"),
    [
        (
            {"inlineData": {"mimeType": "image/png", "data": PNG_TEXT}},
            Media(mime_type="image/png", data=PNG),
        ),
        (
            {"inline_data": {"mime_type": "audio/wav", "data": PNG_TEXT.replace("+", "-").replace("/", "_")}},
            Media(mime_type="audio/wav", data=PNG),
        ),
        (
            {"inlineData": {"mimeType": "application/pdf", "data": PNG_TEXT.rstrip("="), "displayName": "a.pdf"}},
            Media(mime_type="application/pdf", data=PNG, filename="a.pdf"),
        ),
        (
            {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://x.example/a.jpg"}},
            Media(mime_type="image/jpeg", url="https://x.example/a.jpg"),
        ),
        (
            {"file_data": {"file_uri": "https://generativelanguage.googleapis.com/v1beta/files/abc"}},
            Media(file_id="https://generativelanguage.googleapis.com/v1beta/files/abc"),
        ),
        (
            {"fileData": {"mimeType": "video/mp4", "fileUri": "gs://bucket/film"}},
            Media(mime_type="video/mp4", file_id="gs://bucket/film"),
        ),
        (
            {
                "inlineData": {"mimeType": "image/png", "data": PNG_TEXT},
                "mediaResolution": {"level": "MEDIA_RESOLUTION_LOW"},
            },
            Media(mime_type="image/png", data=PNG, detail="low"),
        ),
    ],
)
@pytest.mark.requirement("S23")
def test_pictures_sounds_and_documents_are_kept(part: Json, media: Media) -> None:
    assert _turns(_user({"text": "See:"}, part)) == (_says("user", Text(text="See:"), media),)


@pytest.mark.requirement("L-29", "B-10")
def test_calls_without_ids_are_answered_by_name_and_order() -> None:
    turns = _turns(
        _model(
            {"functionCall": {"name": "add", "args": {"a": 1}}},
            {"functionCall": {"name": "sub", "args": {}}},
            {"function_call": {"name": "add"}},
        ),
        _user(
            {"functionResponse": {"name": "add", "response": {"result": "1"}}},
            {"functionResponse": {"name": "add", "response": {"output": "2"}}},
            {"function_response": {"name": "sub", "response": {"sum": 3}}},
            {"text": "Go on"},
        ),
        _model({"functionCall": {"name": "add", "args": {"a": 2}}}),
        {"role": "function", "parts": [{"functionResponse": {"name": "add", "response": {"error": "broken"}}}]},
    )
    assert turns == (
        _says(
            "assistant",
            ToolCall(id="call00000", name="add", arguments='{"a": 1}'),
            ToolCall(id="call00001", name="sub", arguments="{}"),
            ToolCall(id="call00002", name="add", arguments="{}"),
        ),
        _says(
            "tool",
            ToolResult(tool_call_id="call00000", name="add", parts=(Text(text="1"),)),
            ToolResult(tool_call_id="call00002", name="add", parts=(Text(text="2"),)),
            ToolResult(tool_call_id="call00001", name="sub", parts=(Text(text='{"sum": 3}'),)),
        ),
        _says("user", Text(text="Go on")),
        _says("assistant", ToolCall(id="call00003", name="add", arguments='{"a": 2}')),
        _says("tool", ToolResult(tool_call_id="call00003", name="add", parts=(Text(text="broken"),), is_error=True)),
    )


def test_ids_that_are_given_decide() -> None:
    turns = _turns(
        _model({"functionCall": {"id": "x", "name": "f"}}, {"functionCall": {"id": "y", "name": "f"}}),
        _user(
            {"functionResponse": {"id": "y", "name": "f", "response": {"result": "of y"}}},
            {"functionResponse": {"id": "unknown", "name": "f", "response": {"result": "of x"}}},
        ),
    )
    assert turns[1] == _says(
        "tool",
        ToolResult(tool_call_id="y", name="f", parts=(Text(text="of y"),)),
        ToolResult(tool_call_id="x", name="f", parts=(Text(text="of x"),)),
    )


def test_a_function_may_answer_with_a_picture() -> None:
    picture = {"inlineData": {"mimeType": "image/png", "data": PNG_TEXT}}
    turns = _turns(
        _model({"functionCall": {"id": "x", "name": "shot"}}),
        _user({"functionResponse": {"id": "x", "name": "shot", "parts": [picture]}}),
    )
    media = (Media(mime_type="image/png", data=PNG),)
    assert turns[1] == _says("tool", ToolResult(tool_call_id="x", name="shot", parts=(Text(text="{}"), *media)))


@pytest.mark.requirement("B-17", "T-14")
def test_a_signed_turn_is_kept_whole_and_byte_for_byte_beside_its_neutral_words() -> None:
    parts: list[Json] = [
        {"text": "hm", "thought": True},
        {"text": "Calling", "thoughtSignature": "c2lnbmVk+/8="},
        {"functionCall": {"name": "f", "args": {"a": [1, 2.50]}}, "thoughtSignature": "YW5vdGhlcg=="},
    ]
    assert _turns(_model(*parts)) == (
        _says(
            "assistant",
            Reasoning(text="hm"),
            Text(text="Calling"),
            ToolCall(id="call00000", name="f", arguments='{"a": [1, 2.5]}'),
            *_blocks(*parts),
        ),
    )


@pytest.mark.requirement("T-14")
def test_code_that_ran_is_kept_for_gemini() -> None:
    parts: list[Json] = [
        {"executableCode": {"language": "PYTHON", "code": "print(1)"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
        {"text": "It is 1."},
    ]
    assert _turns(_model(*parts)) == (_says("assistant", Text(text="It is 1."), *_blocks(*parts)),)


@pytest.mark.requirement("B-17", "T-14")
@pytest.mark.parametrize("alphabet", ["standard", "url-safe"])
def test_blocks_of_another_provider_come_back_out_of_a_signature(alphabet: str) -> None:
    blocks = (OpaqueBlock(dialect="anthropic_messages", json=b'{"type":"thinking","signature":"\xc3\xa9>>??"}'),)
    signature = signature_of(blocks)
    if alphabet == "url-safe":
        signature = signature.replace("+", "-").replace("/", "_")
    body = json.dumps({"contents": [_model({"text": "Hello"}, {"text": "", "thoughtSignature": signature})]}).encode()
    assert is_carried_in(json.dumps({"thoughtSignature": signature}).encode())
    assert chat_input(body).messages == (_says("assistant", Text(text="Hello"), *blocks),)


@pytest.mark.requirement("B-17", "T-14")
def test_chunks_of_a_stream_that_come_back_as_turns_are_one_turn() -> None:
    blocks = (OpaqueBlock(dialect="anthropic_messages", json=b'{"type":"thinking"}'),)
    chunks = [
        _model({"text": "Hel"}),
        _model({"text": "lo"}),
        _model({"text": "", "thoughtSignature": signature_of(blocks)}),
        _model({"text": ""}),
    ]
    assert _turns(*chunks, HELLO) == (
        _says("assistant", Text(text="Hel"), Text(text="lo"), *blocks),
        _says("user", Text(text="Hi")),
    )


def test_a_plain_turn_of_the_model_has_no_blocks() -> None:
    assert _turns(_model({"text": "A", "thoughtSignature": ""}, {"text": ""})) == (
        _says("assistant", Text(text="A")),
    )  # fmt: skip


@pytest.mark.requirement("B-14", "P-18")
def test_what_only_some_providers_know_goes_into_the_extension() -> None:
    chat = _read(
        safetySettings=[{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        cached_content="cachedContents/1",
        serviceTier="FLEX",
        future={"a": 1},
        generationConfig={"responseModalities": ["IMAGE"], "speechConfig": {"x": 1}, "media_resolution": "M"},
    )
    assert json.loads(chat.extension) == {
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        "cached_content": "cachedContents/1",
        "service_tier": "flex",
        "future": {"a": 1},
        "responseModalities": ["IMAGE"],
        "speechConfig": {"x": 1},
        "mediaResolution": "M",
    }


def test_values_that_ask_for_what_happens_anyway_are_left_out() -> None:
    chat = _read(
        safetySettings=[],
        labels={},
        serviceTier="standard",
        generationConfig={"responseModalities": ["TEXT"], "mediaResolution": "MEDIA_RESOLUTION_UNSPECIFIED"},
    )
    assert chat == _read()


@pytest.mark.parametrize(
    "body",
    [
        {"contents": [HELLO]},
        {"generateContentRequest": {"model": "models/x", "contents": [HELLO]}},
        {"generate_content_request": {"contents": [HELLO]}, "contents": None},
    ],
)
def test_a_prompt_to_be_counted_is_a_chat(body: Json) -> None:
    assert count_input(json.dumps(body).encode()).chat == _read()
