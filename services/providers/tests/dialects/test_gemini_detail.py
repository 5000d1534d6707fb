"""How closely to look at media, and which calls must fit, in Gemini's words."""

from __future__ import annotations

import json
from typing import Any  # JSON bodies

import pytest
from google.genai import types

from llm_manager.core.errors import UnsupportedParameter
from llm_manager.core.facts import load_facts
from llm_manager.core.messages import ChatInput, Media, Message, Text, Tool, ToolChoice, ToolResult
from llm_manager.providers.dialects.gemini_generate.dialect import GeminiGenerate
from llm_manager.providers.dialects.policy import Policy

DIALECT = GeminiGenerate(load_facts()["gemini"], new_id=str)
HELLO = (Message(role="user", parts=(Text(text="Hello"),)),)
WEATHER = Tool(name="weather", parameters=b'{"type":"object"}', is_strict=True)
OLD, NEW = "gemini-2.5-flash", "gemini-3-pro-preview"


def body_of(chat: ChatInput, *, model: str = OLD, policy: Policy | None = None) -> dict[str, Any]:
    return json.loads(DIALECT.chat(chat, model=model, is_stream=False, policy=policy or Policy()).body)


LOW, HIGH = "MEDIA_RESOLUTION_LOW", "MEDIA_RESOLUTION_HIGH"


def seen(*details: str, extension: bytes = b"") -> ChatInput:
    parts = tuple(Media(mime_type="image/png", data=b"hi", detail=detail) for detail in details)
    return ChatInput(messages=(Message(role="user", parts=parts),), extension=extension)


def test_detail_of_pictures_is_said_of_each_since_the_third_generation() -> None:
    body = body_of(seen("low", "high", "auto", ""), model=NEW)
    parts = [types.Part.model_validate(part) for part in body["contents"][0]["parts"]]

    assert [part.get("mediaResolution") for part in body["contents"][0]["parts"]] == [
        {"level": LOW},
        {"level": HIGH},
        None,
        None,
    ]
    assert parts[0].media_resolution is not None
    assert "generationConfig" not in body


def test_detail_of_what_a_tool_found_stands_inside_of_its_result() -> None:
    picture = Media(mime_type="image/png", data=b"hi", detail="low")
    result = ToolResult(tool_call_id="c", parts=(picture,), name="f")
    body = body_of(ChatInput(messages=(Message(role="tool", parts=(result,)),)), model=NEW)
    (part,) = body["contents"][0]["parts"][0]["functionResponse"]["parts"]

    assert part["mediaResolution"] == {"level": LOW}
    types.FunctionResponsePart.model_validate(part)


@pytest.mark.parametrize(
    ("chat", "resolution"),
    [
        (seen("low", "low"), LOW),
        (seen("high"), HIGH),
        (seen("auto", ""), None),
        (seen("low", extension=b'{"media_resolution":"MEDIA_RESOLUTION_MEDIUM"}'), "MEDIA_RESOLUTION_MEDIUM"),
    ],
)
def test_detail_of_pictures_is_said_of_all_to_models_before(chat: ChatInput, resolution: str | None) -> None:
    body = body_of(chat)

    assert body.get("generationConfig", {}).get("mediaResolution") == resolution
    assert all(part.keys() == {"inlineData"} for part in body["contents"][0]["parts"])


@pytest.mark.parametrize(("model", "details"), [(OLD, ("low", "high")), (OLD, ("low", "")), (NEW, ("original",))])
def test_a_detail_that_cannot_be_said_is_refused_by_name(model: str, details: tuple[str, ...]) -> None:
    with pytest.raises(UnsupportedParameter) as refused:
        body_of(seen(*details), model=model)
    policy = Policy(adapts=True)
    body = body_of(seen(*details), model=model, policy=policy)

    assert refused.value.param == "detail"
    assert "mediaResolution" not in json.dumps(body)
    assert policy.warnings == ["left out detail"]


def test_pictures_of_the_system_have_no_place() -> None:
    picture = Message(role="system", parts=(Media(mime_type="image/png", data=b"hi"),))
    with pytest.raises(UnsupportedParameter) as refused:
        body_of(ChatInput(messages=(picture, *HELLO)))

    assert refused.value.param == "messages"


@pytest.mark.parametrize("choice", [None, ToolChoice(mode="auto")])
def test_strict_tools_are_called_with_arguments_that_fit(choice: ToolChoice | None) -> None:
    body = body_of(ChatInput(messages=HELLO, tools=(WEATHER,), tool_choice=choice))

    assert body["toolConfig"] == {"functionCallingConfig": {"mode": "VALIDATED"}}
